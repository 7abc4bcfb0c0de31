"""Killed once to three times, at a moment or at a file operation, each command ends as if it had not been."""

from __future__ import annotations

import signal
import time

import pytest
from trials.aftermath import require_same_end, require_unharmed
from trials.case import Case, faults
from trials.jobs import Workplace, by_name

# The cheap first, for they are the short part.
ROUND = (
    *("import", "data pack", "train", "data tidy", "train photographs", "predict", "data prepare", "analyze"),
    *("eval", "train", "reproduce", "train photographs", "export safetensors", "compare", "data pack"),
    *("train", "export onnx", "data prepare", "export huggingface", "train photographs", "reproduce"),
    *("train", "data tidy", "export int8", "export torch-export"),
)


@faults(short=4, long=240)
def test_kill(case: Case, workplace: Workplace) -> None:
    if workplace.forked.injector is None:
        pytest.skip("there is no C compiler")
    job = by_name(ROUND[case.number % len(ROUND)])
    whole, place = workplace.undisturbed(job), workplace.place(job)
    kills = [_drawn(case, whole.operations, whole.seconds) for _ in range(case.dice.choice((1, 1, 2, 3)))]
    case.tries(f"kill: {job.name}", ", then ".join(text for text, _, _ in kills))
    killed = []
    try:
        for number, (_, fault, moment) in enumerate(kills):
            argv = job.resume if number and job.resume and (place / "run" / "spec.toml").exists() else None
            given = {**fault, "under": str(place)} if fault else None
            running = workplace.start(job, place, argv=argv, fault=given)
            killed.append(running)
            if moment is not None:
                time.sleep(moment)
                running.signal(signal.SIGKILL, group=case.dice.random() < 0.5)
            ended = running.wait()
            if ended.code != -signal.SIGKILL:
                # 6: the process that checks an export was the one that was killed.
                ended.require(case, 0, *((2,) if number else ()), *((6,) if "export" in job.name else ()))
            require_unharmed(case, workplace, job, place)
        require_same_end(case, workplace, job, place)
    finally:
        for running in killed:
            running.signal(signal.SIGKILL, group=True)
        workplace.clear(place)


def _drawn(case: Case, operations: int, seconds: float) -> tuple[str, dict[str, object] | None, float | None]:
    """In words, for the injector, and as seconds after the beginning; one of the two is None."""
    if case.dice.random() < 0.3:
        moment = case.dice.uniform(0, 1.1 * seconds)
        return f"after {moment / seconds:.0%} of the time", None, moment
    kth, does = case.dice.randint(1, operations), case.dice.choice(("kill", "kill alone"))
    return f"{does} at file operation {kth}", {"at": kth, "do": does}, None
