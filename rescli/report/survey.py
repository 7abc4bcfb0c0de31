"""What was found in a folder of photographs, as lines."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from rescli.data.folders.finding import Finding, classes_in_words, images_in_words
from rescli.data.folders.survey import SplitSurvey, Survey
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["finding_line", "only_ways", "survey_lines"]

_HEADS = {"note": "", "left out": "left out: ", "odd": "odd: ", "refused": "refused: "}


def survey_lines(survey: Survey, word: Callable[[Remedy], str] = str, *, refused: bool = True) -> list[str]:
    """Splits and classes first, then all that was found, the gravest last.

    Args:
        survey: what was found.
        word: a remedy in the reader's words; by default as Python.
        refused: also what no net can be trained on.
    """
    head = f"photographs in {readable(str(survey.root))}: {classes_in_words(len(survey.class_names))}"
    width = max((len(split.split) for split in survey.splits), default=0)
    splits = [f"  {split.split:{width}}  {_images(split)}" for split in survey.splits]
    found = [finding for finding in survey.findings if refused or finding.kind != "refused"]
    return [head, *splits, *(f"  {finding_line(one, word)}" for one in found)]


def finding_line(finding: Finding, word: Callable[[Remedy], str] = str) -> str:
    """One finding and its ways out."""
    ways = " | ".join(map(word, finding.remedies))
    return f"{_HEADS[finding.kind]}{finding.sentence}{f'; try {ways}' if ways else ''}"


def only_ways(finding: Finding, without: Collection[str]) -> Finding:
    """The finding without ways out that are none where it is said.

    Args:
        without: settings, such as ``data.skip_damaged`` where nothing is trained.
    """
    return replace(finding, remedies=tuple(way for way in finding.remedies if way.setting not in without))


def _images(split: SplitSurvey) -> str:
    counts = list(split.per_class.values())
    if not counts:
        return "no image"
    each = (
        f"{counts[0]:,} of each" if len(set(counts)) == 1 else f"{min(counts):,} to {max(counts):,} of each"
    )
    most = max(split.looks.formats, key=split.looks.formats.__getitem__, default="")
    others = len(split.looks.formats) - 1
    kinds = f", {readable(most)}" + (f" and {counted(others, 'other format')}" if others > 0 else "")
    of = counted(len(counts), "class") + (f", {each}" if len(counts) > 1 else "")
    return f"{images_in_words(split.num_images)} of {of}{kinds if most else ''}"
