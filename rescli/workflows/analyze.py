"""``analyze``: a closer look at trained nets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rescli.checkpoints.locate import Source, source_path
from rescli.hardware.numerics import choose_device
from rescli.plurals import counted
from rescli.report.table import Column, Table, short
from rescli.studies.responses import LayerRow, ResponsesRow, measure_responses
from rescli.workflows.arguments import SPLITS, check_count, check_name
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Responses", "ResponsesJson", "layer_responses"]


class ResponsesJson(TypedDict):
    """The JSON object that ``rescli analyze responses`` prints."""

    results: list[ResponsesRow]


@dataclass(frozen=True, eq=False, repr=False)
class Responses:
    """Layer responses of several nets, as Figure 7; prints as ``rescli analyze responses`` does.

    Args:
        rows: one a net, in their order.
    """

    rows: tuple[ResponsesRow, ...]

    def to_json(self) -> ResponsesJson:
        """All of it as JSON values."""
        return {"results": list(self.rows)}

    def table(self) -> Table:
        """A line for each layer of each net, with its standard deviation."""
        layers = [(row["model"], layer) for row in self.rows for layer in row["layers"]]
        return Table.of(_COLUMNS, layers)

    def to_frame(self) -> Any:
        """``table`` as a pandas frame.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.table().to_frame()

    def __str__(self) -> str:
        """Every layer of each net with its standard deviation, and a bar for it."""
        blocks = []
        for row in self.rows:
            width = max(5, *(len(layer["layer"]) for layer in row["layers"]))
            highest = max(layer["std"] for layer in row["layers"]) or 1.0
            where = f"{counted(row['num_images'], 'image')} of {row['dataset']} {row['split']}"
            head = (
                f"{row['model']}: {counted(len(row['layers']), '3x3 layer')}, {where}; mean std "
                f"{row['mean_std']:.4f}"
            )
            lines = [
                f"{layer['layer']:{width}}  {layer['std']:6.4f}  {'#' * round(40 * layer['std'] / highest)}"
                for layer in row["layers"]
            ]
            blocks.append("\n".join([f"{head}\n", f"{'layer':{width}}     std", *lines, ""]))
        return "\n".join(blocks)

    def figure(self) -> Figure:
        """Figure 7 of the paper, of these nets."""
        from rescli.report.figures import responses_figure

        return responses_figure(
            [(row["model"], [layer["std"] for layer in row["layers"]]) for row in self.rows]
        )

    def __repr__(self) -> str:
        lines = [
            f"{row['model']}: {counted(len(row['layers']), 'layer')}, mean std {row['mean_std']:.4f}"
            for row in self.rows
        ]
        return short(f"Responses of {len(self.rows)} {'net' if len(self.rows) == 1 else 'nets'}", lines)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


_COLUMNS = (
    Column[tuple[str, LayerRow]]("net", lambda one: one[0]),
    Column[tuple[str, LayerRow]]("layer", lambda one: one[1]["layer"]),
    Column[tuple[str, LayerRow]]("std", lambda one: f"{one[1]['std']:.4f}", lambda one: one[1]["std"]),
)


@with_notes
def layer_responses(
    nets: Source | Sequence[Source],
    *,
    split: str | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    batch_size: int = 250,
    on_start: Callable[[str], None] | None = None,
) -> Responses:
    """Standard deviation of each 3x3 layer's output after BN, before the nonlinearity (Figure 7), in fp32.

    Args:
        nets: one or several: loaded nets, runs, run directories, checkpoints.
        split: images to look at; None for val, or train where none were set aside.
        data_root: where the data lies; None for where the run had it, RESCLI_DATA, else the cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        batch_size: images per forward pass.
        on_start: called with the name of each net before it is measured.

    Raises:
        CheckpointError: a checkpoint is missing or damaged.
        DataError: images missing or damaged.
        UsageError: no images in that split, or a net without 3x3 layers to look at.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> found = layer_responses(run)
        >>> [row[1].text for row in found.table().rows][:2]
        ['conv1', 'layer1.0.conv1']
        >>> found.figure().savefig("responses.png")
    """
    check_name("split", split, SPLITS)
    check_count("batch_size", batch_size, least=1)
    choose_device(device)
    given: list[Source] = list(nets) if isinstance(nets, list | tuple) else [nets]  # type: ignore[list-item]
    rows: list[ResponsesRow] = []
    for path in [source_path(net) for net in given]:
        if on_start is not None:
            on_start(str(path))
        root = Path(data_root) if data_root is not None else None
        rows.append(measure_responses(path, split, root, device, batch_size))
    return Responses(tuple(rows))
