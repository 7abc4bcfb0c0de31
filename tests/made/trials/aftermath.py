"""What every fault must leave behind, and what must come of it once the fault is over."""

from __future__ import annotations

from pathlib import Path

from trials.case import Case
from trials.jobs import Job, Workplace
from trials.left import damaged, differences, left_in

__all__ = ["require_same_end", "require_unharmed"]


def require_unharmed(
    case: Case, workplace: Workplace, job: Job, place: Path, *, seen: Path | None = None
) -> None:
    """Right after the fault: what was there is there, and nothing half-written has a final name.

    ``seen`` is the place as this process sees it, where that is another path.

    Raises:
        Failed: it is not so.
    """
    now = left_in(seen or place, readable_only=True, named=place)
    wanted = workplace.undisturbed(job).left
    before = workplace.inputs(job)
    lost = differences({name: now[name] for name in before if name in now}, before)
    if lost:
        raise case.fails("lost", f"after the fault: {lost}")
    halves = damaged(seen or place)
    if halves:
        raise case.fails("lost", f"half-written under a final name: {halves}")
    for folder in job.whole:
        there = f"{folder}/" in now
        absent = [name for name in wanted if name.startswith(f"{folder}/") and name not in now]
        if there and absent:
            raise case.fails("lost", f"{folder} has its name but lacks {absent[:5]}")
    if job.resume is None and not any(name.startswith("runs/") for name in wanted):
        made = [name for name in now if name in wanted and not name.startswith("cache/")]
        other = [name for name in made if now[name] != wanted[name] and not name.endswith(".lock")]
        if other:
            raise case.fails("lost", f"half-written under a final name: {other}")


def require_same_end(
    case: Case, workplace: Workplace, job: Job, place: Path, *, seen: Path | None = None
) -> None:
    """The same command, or ``--resume``, ends well at once, as if nothing had happened.

    Raises:
        Failed: it does not, its result is another, or something is left over.
    """
    wanted = workplace.undisturbed(job).left
    ended = workplace.finish(job, place, seen=seen)
    found = differences(left_in(seen or place, named=place), wanted)
    wrong = [text for text in found if not text.startswith("left over")]
    # The fault came after the result had got its name.
    ended.require(case, *((0,) if wrong or job.resume else (0, 2)))
    if wrong:
        raise case.fails("lost", f"the result is another: {wrong}\n{ended.err[-2000:]}")
    if found:
        raise case.fails("unnoticed", f"nobody takes away: {found}\n{ended.err[-1000:]}")
