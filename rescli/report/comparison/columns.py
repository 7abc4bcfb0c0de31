"""The columns of a comparison: add one here, and the screen, the page and notebooks have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rescli.durations import format_seconds
from rescli.report.table import Column
from rescli.studies.rows import ContenderRow
from rescli.studies.statistics.seeds import SeedsMean, mean_std_text

__all__ = ["contender_columns", "tested_on"]

_Contender = Column[ContenderRow]


def contender_columns(contenders: Sequence[ContenderRow]) -> list[_Contender]:
    """The columns that these contenders need; errors in percent, over seeds."""
    columns = [
        Column[ContenderRow]("net", lambda one: one["label"]),
        Column("params", lambda one: _scaled(one["params"], 1e6, 2), lambda one: one["params"]),
        Column("MACs", lambda one: _scaled(one["macs"], 1e6, 1), lambda one: one["macs"]),
        _error("train error", lambda one: one["train_error"]),
        _error("val error", lambda one: one["val_error"]),
        _error("test error", lambda one: one["test_error"]),
        _error("best-val", lambda one: one["best_test_error"]),
        Column(
            "train time",
            lambda one: format_seconds(one["train_seconds"]) if one["train_seconds"] else "",
            lambda one: one["train_seconds"],
        ),
        Column(
            "img/s",
            lambda one: f"{one['images_per_second']:,.0f}" if one["images_per_second"] else "",
            lambda one: one["images_per_second"],
        ),
    ]
    if any(one["published"] for one in contenders):
        columns += [
            Column(
                "published",
                lambda one: "" if (value := _published(one)) is None else f"{value:.2f}",
                _published,
            ),
            Column("verdict", lambda one: one["published"]["verdict"] if one["published"] else ""),
        ]
    return columns


def _error(head: str, figure: Callable[[ContenderRow], SeedsMean | None]) -> _Contender:
    def mean(one: ContenderRow) -> float | None:
        found = figure(one)
        return found["mean"] if found is not None else None

    return Column(head, lambda one: mean_std_text(figure(one)), mean)


def _scaled(count: int | None, unit: float, digits: int) -> str:
    return f"{count / unit:.{digits}f}M" if count else ""


def _published(one: ContenderRow) -> float | None:
    found = one["published"]
    return (found["mean"] or found["top1_error"]) if found else None


def tested_on(contenders: Sequence[ContenderRow]) -> str:
    """The data sets and protocols of the test errors, each once.

    Example:
        >>> tested_on([{"dataset": name, "protocol": "single"} for name in ("cifar10", "cifar10", "shapes")])
        'cifar10, protocol single; shapes, protocol single'
    """
    return "; ".join(dict.fromkeys(f"{one['dataset']}, protocol {one['protocol']}" for one in contenders))
