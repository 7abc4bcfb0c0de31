"""A data set read whole: counts, classes, damaged files, copies within and between its splits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.errors import DataError
from rescli.hardware.threads.cores import usable_cores
from rescli.plurals import counted
from rescli.workflows.arguments import SPLITS, check_name
from rescli.workflows.data.datasets import known_sizes
from rescli.workflows.data.split_progress import SplitProgress, unseen, within_split
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey
    from rescli.data.verify.check import Fault, SplitCheck
    from rescli.data.verify.copies import Copies
    from rescli.remedy import Remedy

__all__ = ["DataReport", "verify_data"]


@dataclass(frozen=True, eq=False, repr=False)
class DataReport:
    """All that was found in a data set.

    Args:
        name: of the data set.
        checks: one for each split that could be read.
        copies_between: pair of splits to the images of the second that are in the first too.
        faults: what must be mended; copies and uneven classes are no fault.
        survey: how a folder of photographs is laid out, and what is odd about it; None of other data sets.
        hint: what mends a split that cannot be read, where its error said so.
        remedies: settings that mend it.
    """

    name: str
    checks: Sequence[SplitCheck]
    copies_between: Mapping[tuple[str, str], Copies]
    faults: Sequence[Fault]
    survey: Survey | None = None
    hint: str | None = None
    remedies: tuple[Remedy, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def __repr__(self) -> str:
        found = _summary(self.faults) if self.faults else "no fault"
        return f"DataReport({self.name}: {found})"

    def require_sound(self) -> None:
        """Do nothing where there is no fault.

        Raises:
            DataError: the first faults, and how many there are.
        """
        if self.faults:
            mended = self.hint or self.remedies
            raise DataError(
                f"{self.name} has {_summary(self.faults)}",
                hint=self.hint if mended else "replace or remove what is named above, and verify again",
                remedy=self.remedies,
            )


@with_notes
def verify_data(
    name: str,
    data_root: str | os.PathLike[str] | None = None,
    *,
    splits: str | Sequence[str] = (),
    changes: Mapping[str, object] | None = None,
    progress: SplitProgress = unseen,
) -> DataReport:
    """Read a data set whole and say what is wrong with it.

    Args:
        name: a data set, such as ``cifar10`` or ``imagefolder``.
        data_root: where the data lies; None for RESCLI_DATA, else the cache.
        splits: only this part of it, or these; every part there is where empty.
        changes: keys of the data set, ``{"data.dataset.labels": "names"}``.
        progress: called with a split, the number of its images done, and how many it has: None while it is
            being read.

    Returns:
        What was found, faults included: nothing is raised for those.

    Raises:
        UnknownNameError: no such data set, or it has no such split.

    Example:
        >>> report = verify_data("shapes", splits=["val"])
        >>> report.ok, report.checks[0].num_images
        (True, 1000)
    """
    from rescli.data.verify.check import Fault, check_split, copies_between
    from rescli.spec.from_names import named_dataset

    root = None if data_root is None else Path(data_root)
    dataset = named_dataset(name, changes)
    sizes = known_sizes(dataset) or {}
    chosen = tuple(dict.fromkeys([splits] if isinstance(splits, str) else splits)) or dataset.splits(root)
    for part in chosen:
        check_name(f"split of {name}", part, list(sizes) or SPLITS)
    survey = dataset.survey(root, every_header=True)
    checks = []
    unread: dict[str, DataError] = {}
    for part in chosen:
        progress(part, 0, None)
        # One at a time: of a split that was checked, no image is kept.
        try:
            images = dataset.build(root, (part,))[part]
        except DataError as error:
            unread[part] = error
            continue
        checks.append(
            check_split(
                images,
                split=part,
                expected_images=sizes.get(part),
                threads=usable_cores(),
                progress=within_split(progress, part, len(images)),
            )
        )
        del images
    faults = [fault for check in checks for fault in check.faults]
    faults += [Fault(part, None, str(error)) for part, error in unread.items()]
    if survey is not None and not splits and not unread:
        faults += [Fault(None, None, finding.sentence) for finding in survey.refusals]
    between = {
        (first.split, second.split): copies_between(first, second)
        for first, second in combinations(checks, 2)
    }
    mending = next((error for error in unread.values() if error.hint or error.remedies), None)
    if mending is None:
        remedies = [remedy for finding in survey.refusals for remedy in finding.remedies] if survey else []
        return DataReport(name, checks, between, faults, survey, remedies=tuple(dict.fromkeys(remedies)))
    return DataReport(name, checks, between, faults, survey, mending.hint, mending.remedies)


def _summary(faults: Sequence[Fault]) -> str:
    # Told once, however often it was met: splits can share a damaged file.
    found = list(
        dict.fromkeys(f"{fault.file} ({fault.split})" if fault.file else fault.text for fault in faults)
    )
    if len(found) == 1:
        return f"1 fault: {found[0]}"
    return f"{counted(len(found), 'fault')}: {'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''}"
