"""The data sets that are registered, and what is known of each without reading it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rescli import registry
from rescli.errors import SpecError, UsageError
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.spec.base import DatasetSpec

__all__ = ["DatasetInfo", "datasets", "known_sizes"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetInfo:
    """What the name of a data set says; None where only its files do, or keys that have no default.

    Args:
        name: what it is called.
        summary: one line.
        problem: why the rest is not known, where the name is not enough.
        num_classes: how many classes it has.
        sizes: split to its number of images.
        image_size: side of the training images or of their crops, in pixels.
        any_size: whether its images are photographs of any size.
    """

    name: str
    summary: str
    problem: str | None = None
    num_classes: int | None = None
    sizes: dict[str, int] | None = None
    image_size: int | None = None
    any_size: bool | None = None


@with_notes
def datasets(*, warn: Callable[[str], None] = _log.warning) -> list[DatasetInfo]:
    """The registered data sets, sorted by name.

    Args:
        warn: called for a plugin's that cannot be described; it is left out.

    Example:
        >>> [found.name for found in datasets() if found.num_classes == 100]
        ['cifar100']
    """
    rows = []
    for name in registry.names("datasets"):
        try:
            rows.append(_describe(name))
        except UsageError as error:
            warn(str(error))
        # What a plugin's own properties may raise.
        except Exception as error:
            reason = " ".join(str(error).split())
            warn(f"data set {name!r} cannot be described: {type(error).__name__}: {reason}")
    return rows


def known_sizes(dataset: DatasetSpec) -> dict[str, int] | None:
    """Split to its number of images; None where only the files can say."""
    try:
        return dataset.sizes
    except SpecError:
        return None


def _describe(name: str) -> DatasetInfo:
    from rescli.spec.from_names import named_dataset

    summary = (registry.load("datasets", name).__doc__ or "").strip().partition("\n")[0]
    try:
        dataset = named_dataset(name)
    except SpecError as error:
        return DatasetInfo(name, summary, problem=str(error))
    num_classes = None
    with contextlib.suppress(SpecError):
        num_classes = dataset.num_classes
    return DatasetInfo(
        name,
        summary,
        num_classes=num_classes,
        sizes=known_sizes(dataset),
        image_size=dataset.image_size,
        any_size=dataset.any_size,
    )
