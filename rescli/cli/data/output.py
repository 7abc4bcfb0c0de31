"""What ``rescli data`` prints: lines that are not cut off on a narrow terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from rescli.cli.output.columns import print_line
from rescli.cli.output.results import print_json
from rescli.cli.remedies import as_flag
from rescli.plurals import are, counted, image_of, plural
from rescli.report.survey import finding_line, only_ways

if TYPE_CHECKING:
    from rich.progress import Progress

    from rescli.data.verify.check import FilesCheck, SplitCheck
    from rescli.data.verify.copies import Copies
    from rescli.report.progress.counting import Count
    from rescli.workflows.data.datasets import DatasetInfo
    from rescli.workflows.data.verify_data import DataReport

__all__ = ["DataProgress", "data_progress", "print_datasets", "print_report"]

_SHOWN = 5
"""Names in a line for people; --json has more."""

_MODE_WORDS = {
    "1": "black and white",
    "CMYK": "CMYK",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
}


class DataProgress:
    """A bar; without one, a line on images now and then."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None) if bar is not None else None
        self._lines: Count | None = None
        self._total: int | None = None

    @property
    def is_shown(self) -> bool:
        return self._bar is not None

    def checking(self, split: str, done: int, total: int | None) -> None:
        """``done`` of the images of a split; ``total`` is None while it is being read."""
        if self._bar is None:
            self._count(split, done, total)
        elif done == 0:
            self.begin(f"{split}: {'reading' if total is None else 'checking'}", total)
        else:
            self.done(done)

    def _count(self, split: str, done: int, total: int | None) -> None:
        from rescli.report.progress.counting import counting_lines

        if done == 0 or self._lines is None:
            self._total = total
            self._lines = counting_lines(plural(image_of(split)))
        if self._total is not None:
            self._lines(done, self._total)

    def done(self, amount: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=amount)

    def begin(self, text: str, total: int | None) -> None:
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(text, total=total)


@contextmanager
def data_progress() -> Iterator[DataProgress]:
    """A bar on stderr, gone when done; where stderr is no terminal, lines."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from rescli.report.console import SafeConsole

    console = SafeConsole(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield DataProgress(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("time left", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield DataProgress(bar)


def print_datasets(found: Sequence[DatasetInfo], *, as_json: bool) -> None:
    """A line or two for each data set, or one JSON object."""
    if as_json:
        print_json({"datasets": [asdict(one) for one in found]})
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        print_line(f"{one.name:{width}}  {one.problem or _facts(one)}")
        if one.summary:
            print_line(f"{'':{width}}  {one.summary}")


def _facts(found: DatasetInfo) -> str:
    side = found.image_size
    size = f"of any size (crops of {side}x{side})" if found.any_size else f"of {side}x{side}"
    if found.num_classes is None and found.sizes is None:
        return f"classes and images as in its folders, {size}"
    classes = (
        "classes as in its folders" if found.num_classes is None else counted(found.num_classes, "class")
    )
    sizes = "as many as its folders have"
    if found.sizes is not None:
        sizes = ", ".join(f"{split} {count:,}" for split, count in found.sizes.items() if count)
    return f"{classes}, images {size}: {sizes}"


def print_report(report: DataReport, *, as_json: bool) -> None:
    """All that was found in a data set."""
    name, checks, between, faults = report.name, report.checks, report.copies_between, report.faults
    if as_json:
        print_json(
            {
                "dataset": name,
                "ok": report.ok,
                "splits": [_split_json(check) for check in checks],
                "copies_between": [
                    {"original_split": first, "split": second, **asdict(copies)}
                    for (first, second), copies in between.items()
                ],
                "faults": [asdict(fault) for fault in faults],
                **({"survey": report.survey.to_dict()} if report.survey is not None else {}),
            }
        )
        return
    for check in checks:
        print_line(f"{name} {check.split}")
        _print_split(check)
        print()
    for (first, second), copies in between.items():
        if copies.count:
            print_line(f"{name} {second} against {first}")
            _line(
                "copies",
                f"{copies.count:,} of its images {are(copies.count)} in {first} too{_other(copies)}",
            )
            _print_copies(copies, first, second)
            print()
    if len(checks) > 1 and not any(copies.count for copies in between.values()):
        print_line("no image is in two splits")
        print()
    if report.survey is not None and (
        odd := [one for one in report.survey.findings if one.kind != "refused"]
    ):
        for finding in odd:
            shown = only_ways(finding, ("verify_data", "data.skip_damaged"))
            print_line(finding_line(shown, partial(as_flag, parameters={"set_", "data_root"})))
        print()
    for text in dict.fromkeys(fault.text for fault in faults):
        print_line(f"fault: {text}")
    if not faults:
        print_line("no faults")


def _print_split(check: SplitCheck) -> None:
    wanted = ""
    if check.expected_images not in (None, check.num_images):
        wanted = f", expected {check.expected_images:,}"
    _line("images", f"{check.num_images:,} in {counted(len(check.class_names), 'class')}{wanted}")
    if check.fewest is not None and check.most is not None:
        fewest, most = check.fewest, check.most
        filled = len(check.class_names) - len(check.empty_classes)
        if fewest[1] == most[1]:
            _line("per class", f"{most[1]:,} in {'each' if not check.empty_classes else f'each of {filled}'}")
        else:
            _line("per class", f"from {fewest[1]:,} ({fewest[0]}) to {most[1]:,} ({most[0]})")
    if check.empty_classes:
        count = len(check.empty_classes)
        _line("", f"none in {count}: {_named(check.empty_classes, count)}")
    if check.files is not None:
        _print_files(check.files)
    copies = check.copies
    equal = "equals" if copies.count == 1 else "equal"
    _line("copies", f"{copies.count:,} {equal} an earlier image{_other(copies)}" if copies.count else "none")
    _print_copies(copies)
    _line("fingerprint", check.fingerprint)


def _print_files(files: FilesCheck) -> None:
    modes = ", ".join(f"{count:,} {_MODE_WORDS.get(mode, mode)}" for mode, count in files.modes.items())
    _line("stored as", modes or "nothing that can be decoded")
    if files.smallest is not None and files.largest is not None:
        small, large = files.smallest, files.largest
        if (small.width, small.height) == (large.width, large.height):
            _line("size", f"{small.width}x{small.height}")
        else:
            _line("smallest", f"{small.width}x{small.height} ({small.name})")
            _line("largest", f"{large.width}x{large.height} ({large.name})")
    if files.num_undecodable:
        _line("damaged", f"{files.num_undecodable:,}, named below")
    if files.num_other_files:
        count = files.num_other_files
        kind = "that is no image" if count == 1 else "that are no images"
        _line("other files", f"{count:,} {kind} by suffix: {_named(files.other_files, count)}")


def _print_copies(copies: Copies, first: str = "", second: str = "") -> None:
    for copy in copies.named[:_SHOWN]:
        left, right = (
            f"{split} {name}".lstrip() for split, name in ((second, copy.name), (first, copy.original))
        )
        classes = ""
        if copy.class_name != copy.original_class_name:
            classes = f"  ({copy.class_name}, {copy.original_class_name})"
        _line("", f"{left} = {right}{classes}")
    if copies.count > _SHOWN:
        _line("", f"and {copies.count - _SHOWN:,} more (--json names {len(copies.named):,})")


def _split_json(check: SplitCheck) -> dict[str, object]:
    def pair(found: tuple[str, int] | None) -> dict[str, str | int] | None:
        return None if found is None else {"class": found[0], "num_images": found[1]}

    return {
        "split": check.split,
        "num_images": check.num_images,
        "expected_images": check.expected_images,
        "num_classes": len(check.class_names),
        "fewest": pair(check.fewest),
        "most": pair(check.most),
        "empty_classes": check.empty_classes,
        "images_per_class": dict(zip(check.class_names, check.images_per_class, strict=True)),
        "fingerprint": check.fingerprint,
        "copies": asdict(check.copies),
        "files": None if check.files is None else asdict(check.files),
    }


def _other(copies: Copies) -> str:
    return f", {copies.other_label:,} under another label" if copies.other_label else ""


def _named(names: Sequence[str], count: int) -> str:
    """The first few names, out of ``count``."""
    return ", ".join(names[:_SHOWN]) + (", ..." if count > _SHOWN else "")


def _line(key: str, text: str) -> None:
    print_line(f"  {key:<11}  {text}")
