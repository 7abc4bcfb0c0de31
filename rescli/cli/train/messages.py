"""What ``rescli train`` says beside its progress."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from rescli.cli.output.messages import PACK, say
from rescli.cli.remedies import as_flag
from rescli.durations import format_seconds
from rescli.plurals import are, counted
from rescli.report.progress.image_wait import advice
from rescli.report.progress.run import training_progress
from rescli.spec.ledger.ledger import differences, ledger

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey
    from rescli.runs.stored_record import RunRecord
    from rescli.spec.ledger.row import LedgerRow
    from rescli.spec.run import RunSpec
    from rescli.training.events import Sink
    from rescli.workflows.results.oddities import Oddity
    from rescli.workflows.results.run import RunStart

__all__ = [
    "is_idle",
    "odd_text",
    "run_progress",
    "say_oddities",
    "say_preset",
    "say_start",
    "say_survey",
    "say_what_data_cost",
]

_MORE_WORKERS = "--workers"
_MANY_IMAGES = 20_000
_LEDGER_WIDTH = 76


def run_progress(spec: RunSpec, begin: int) -> AbstractContextManager[Sink]:
    """A block whose sink shows a run from iteration ``begin``: bars on a terminal, lines elsewhere."""
    return training_progress(
        name=spec.name,
        total_steps=spec.iterations,
        start_step=begin,
        workers=_MORE_WORKERS,
        pack=PACK,
    )


def say_preset(name: str, net_of_start: str | None = None) -> None:
    """The first line: which preset was taken, and which net in place of its own.

    Args:
        name: of the preset.
        net_of_start: the checkpoint's net, where that is trained; else None.
    """
    say(f"preset {name}" + (f"; the network is the checkpoint's, {net_of_start}" if net_of_start else ""))


def say_oddities(found: Sequence[Oddity]) -> None:
    """What is out of the ordinary in the plan, and the flags that would mend it."""
    for odd in found:
        say(f"note: {odd_text(odd)}")


def odd_text(odd: Oddity) -> str:
    """The sentence, and below it the flags to try, all of them together."""
    flags = " ".join(as_flag(remedy) for remedy in odd.remedies)
    return f"{odd.text}\n  try: {flags}" if flags else odd.text


def is_idle(start: RunStart) -> bool:
    """Whether a run that is resumed has nothing left to do."""
    return start.resumed and start.step == start.spec.iterations and not start.evaluation_due


def say_start(start: RunStart, budget_seconds: float | None) -> None:
    """Where the run begins or continues, what a budget made of it, and where it differs from the paper."""
    spec = start.spec
    if start.resumed:
        what, left = (
            ("is finished already, at", ": nothing was left to do") if is_idle(start) else ("resuming at", "")
        )
        say(f"{start.path}: {what} iteration {start.step} of {spec.iterations}{left}")
    if start.longer is not None:
        say(
            f"goes on from {start.longer.first}, which stays as it is: momentum and step are kept, the "
            f"learning rate goes on at {start.longer.lr:g}"
        )
    if budget_seconds is not None and start.whole_spec is not None and start.step_seconds is not None:
        whole = start.whole_spec
        say(
            f"budget {format_seconds(budget_seconds)}: {spec.iterations} of "
            f"{counted(whole.iterations, 'iteration')} ({1000 * start.step_seconds:.0f} ms each); "
            + ("not shortened" if spec == whole else "scaled: not comparable with published numbers")
        )
    if start.head is not None and spec.start_from is not None:
        say(f"begins with the weights of {spec.start_from.checkpoint}: {start.head.why}")
        say(f"its network: {start.head.trunk}; here at {spec.data.dataset.image_size} pixels")
    rows = differences(ledger(spec))
    say(
        f"differs from the paper in {counted(len(rows), 'choice')}:"
        if rows
        else "differs from the paper in nothing"
    )
    for line in _ledger_lines(rows):
        say(f"  {line}")
    say(f"run directory: {start.path}")


def _ledger_lines(rows: Sequence[LedgerRow]) -> list[str]:
    """Each choice that is not the paper's, in a column of its own."""
    width = max((len(row.field) for row in rows), default=0)
    inside = " " * (width + 2)
    texts = (f"{row.field:{width}}  {row.here} (paper: {row.paper})" for row in rows)
    return [line for text in texts for line in textwrap.wrap(text, _LEDGER_WIDTH, subsequent_indent=inside)]


def say_survey(survey: Survey, parameters: Collection[str], *, only_odd: bool = False) -> None:
    """What the folder of photographs holds, and what is odd about it; what is refused, the error says.

    Args:
        parameters: those of the command that was typed.
        only_odd: nothing but what may be wrong, as where no progress is to be shown.
    """
    from rescli.report.survey import finding_line, survey_lines  # and with it Pillow

    word = partial(as_flag, parameters=parameters)
    if only_odd:
        for finding in survey.findings:
            if finding.kind == "odd":
                say(finding_line(finding, word))
        return
    for line in survey_lines(survey, word, refused=False):
        say(line)
    if (count := sum(survey.counts.values())) >= _MANY_IMAGES:
        say(f"reading the {counted(count, 'file')} once, so that the run knows them again")


def say_what_data_cost(record: RunRecord) -> None:
    """How long training waited for photographs, and which were left out."""
    waited, trained = record.get("waited_for_data_seconds"), record["train_seconds"]
    if waited is None or trained <= 0:
        return
    share = min(1.0, waited / trained)
    helps = advice(share, workers=_MORE_WORKERS, pack=PACK)
    say(f"training waited for images {100 * share:.0f} % of the time{helps}")
    if names := record["skipped_images"]:
        say(f"skipped {counted(len(names), 'damaged image')}: {_first(names)}")
    if names := record.get("skipped_val_images", []):
        say(
            f"{counted(len(names), 'damaged validation image')} {are(len(names))} not counted: "
            f"{_first(names)}"
        )


def _first(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
