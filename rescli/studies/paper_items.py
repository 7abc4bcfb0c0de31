"""What of the paper can be reproduced: each table and figure as the nets to be trained. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rescli.errors import UnknownNameError
from rescli.studies.published import PublishedRow, PublishedTable, published_table

__all__ = ["Entry", "Target", "target", "target_names"]

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
class Entry:
    """One net to be trained, or a line of a table that is not ours (``preset`` is None).

    reason: why it cannot be trained by anybody, where that is so.
    """

    label: str
    preset: str | None
    shortcut: str | None = None
    published: PublishedRow | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Target:
    """kind: what it ends in. table: the published one, where it is a table."""

    name: str
    title: str
    source: str
    kind: Literal["table", "curves", "responses"]
    dataset: str
    entries: tuple[Entry, ...]
    table: PublishedTable | None = None


def target_names() -> list[str]:
    return ["table2", "table3", "table4", "table5", "table6", *_FIGURES]


def target(name: str) -> Target:
    """Raises:
    UnknownNameError: no such table or figure.
    """
    if name not in target_names():
        raise UnknownNameError("table or figure", name, target_names())
    if name not in _FIGURES:
        table = published_table(name)
        entries = tuple(_entry(row, table) for row in table.rows)
        return Target(name, table.title, table.source, "table", table.dataset, entries, table)
    title, kind, dataset, models = _FIGURES[name]
    folder = PRESET_FOLDERS[dataset]
    source = f"arXiv:1512.03385, Figure {name.removeprefix('fig')}"
    nets = tuple(Entry(model, f"{folder}/{model}") for model in models)
    return Target(name, title, source, kind, dataset, nets)  # type: ignore[arg-type]


def _entry(row: PublishedRow, table: PublishedTable) -> Entry:
    if row.model is not None:
        preset = f"{PRESET_FOLDERS[table.dataset]}/{row.model}"
        return Entry(row.name, preset, row.shortcut, row)
    closed = "the labels of this test set are not public" if row.name.startswith("ResNet") else None
    return Entry(row.name, None, published=row, reason=closed)
