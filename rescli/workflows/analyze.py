"""``analyze``: a closer look at trained nets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rescli.hardware.numerics import choose_device
from rescli.studies.responses import ResponsesRow, measure_responses
from rescli.workflows.arguments import SPLITS, check_count, check_name
from rescli.workflows.load import Source, source_path
from rescli.workflows.notes import with_notes

__all__ = ["Responses", "ResponsesJson", "layer_responses"]


class ResponsesJson(TypedDict):
    """The JSON object that ``rescli analyze responses`` prints."""

    results: list[ResponsesRow]


@dataclass(frozen=True, eq=False)
class Responses:
    """Layer responses of several nets, as Figure 7.

    Args:
        rows: one a net, in their order.
    """

    rows: tuple[ResponsesRow, ...]

    def to_json(self) -> ResponsesJson:
        """All of it as JSON values."""
        return {"results": list(self.rows)}

    def table(self) -> str:
        """Every layer of each net with its standard deviation, and a bar for it."""
        blocks = []
        for row in self.rows:
            width = max(5, *(len(layer["layer"]) for layer in row["layers"]))
            highest = max(layer["std"] for layer in row["layers"]) or 1.0
            where = f"{row['num_images']} images of {row['dataset']} {row['split']}"
            head = f"{row['model']}: {len(row['layers'])} 3x3 layers, {where}; mean std {row['mean_std']:.4f}"
            lines = [
                f"{layer['layer']:{width}}  {layer['std']:6.4f}  {'#' * round(40 * layer['std'] / highest)}"
                for layer in row["layers"]
            ]
            blocks.append("\n".join([f"{head}\n", f"{'layer':{width}}     std", *lines, ""]))
        return "\n".join(blocks)

    def picture(self, *, format: str = "png") -> bytes:
        """Figure 7, drawn.

        Args:
            format: ``png``, ``svg`` or ``pdf``.
        """
        from rescli.report.figures import responses_figure

        lines = [(row["model"], [layer["std"] for layer in row["layers"]]) for row in self.rows]
        return responses_figure(lines, format=format)


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
        nets: one or several: runs, run directories or checkpoints.
        split: images to look at; None for val, or train where none were set aside.
        data_root: where the data lies; None for RESCLI_DATA, else the cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        batch_size: images per forward pass.
        on_start: called with the name of each net before it is measured.

    Raises:
        CheckpointError: a checkpoint is missing or damaged.
        DataError: images missing or damaged.
        UsageError: no images in that split, or a net without 3x3 layers to look at.
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
