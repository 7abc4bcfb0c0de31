"""What of the paper can be reproduced: each table and figure as the nets to be trained. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rescli.errors import UnknownNameError
from rescli.studies.published import PublishedRow, PublishedTable, published_table

__all__ = ["PaperItem", "PaperNet", "paper_item", "paper_item_names"]

PRESET_FOLDERS = {"cifar10": "he2015", "imagenet": "imagenet"}
"""The presets that train as the paper did."""

_FIGURES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "fig1": ("Training and test error of plain nets", "curves", "cifar10", ("plain-20", "plain-56")),
    "fig4": (
        "Training on ImageNet, plain and residual nets",
        "curves",
        "imagenet",
        ("plain-18", "plain-34", "resnet-18", "resnet-34"),
    ),
    "fig6": (
        "Training on CIFAR-10: plain nets, ResNets, and 110 and 1202 layers",
        "curves",
        "cifar10",
        (
            *("plain-20", "plain-32", "plain-44", "plain-56"),
            *("resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110", "resnet-1202"),
        ),
    ),
    "fig7": (
        "Standard deviations of layer responses on CIFAR-10",
        "responses",
        "cifar10",
        ("plain-20", "plain-56", "resnet-20", "resnet-56", "resnet-110"),
    ),
}


@dataclass(frozen=True)
class PaperNet:
    """One line of a table, or one curve of a figure.

    Args:
        label: as the paper calls it.
        preset: what trains it; None for a net of others, which rescli does not train.
        shortcut: A, B or C where the paper names it.
        published: its errors in the paper.
        reason: why nobody can train or test it, where that is so.
    """

    label: str
    preset: str | None
    shortcut: str | None = None
    published: PublishedRow | None = None
    reason: str | None = None


@dataclass(frozen=True)
class PaperItem:
    """A table or a figure of the paper.

    Args:
        kind: what it shows: a table of errors, error curves, or layer responses.
        nets: in the paper's order.
        table: the published one, where it is a table.
    """

    name: str
    title: str
    source: str
    kind: Literal["table", "curves", "responses"]
    dataset: str
    nets: tuple[PaperNet, ...]
    table: PublishedTable | None = None


def paper_item_names() -> list[str]:
    """All that can be reproduced: tables, then figures."""
    return ["table2", "table3", "table4", "table5", "table6", *_FIGURES]


def paper_item(name: str) -> PaperItem:
    """The table or figure of that name, such as ``table6`` or ``fig4``.

    Raises:
        UnknownNameError: no such table or figure.
    """
    if name not in paper_item_names():
        raise UnknownNameError("table or figure", name, paper_item_names())
    if name not in _FIGURES:
        table = published_table(name)
        nets = tuple(_net_of(row, table) for row in table.rows)
        return PaperItem(name, table.title, table.source, "table", table.dataset, nets, table)
    title, kind, dataset, models = _FIGURES[name]
    folder = PRESET_FOLDERS[dataset]
    source = f"arXiv:1512.03385, Figure {name.removeprefix('fig')}"
    nets = tuple(PaperNet(model, f"{folder}/{model}") for model in models)
    return PaperItem(name, title, source, kind, dataset, nets)  # type: ignore[arg-type]


def _net_of(row: PublishedRow, table: PublishedTable) -> PaperNet:
    if row.model is not None:
        preset = f"{PRESET_FOLDERS[table.dataset]}/{row.model}"
        return PaperNet(row.name, preset, row.shortcut, row)
    closed = "the labels of this test set are not public" if row.name.startswith("ResNet") else None
    return PaperNet(row.name, None, published=row, reason=closed)
