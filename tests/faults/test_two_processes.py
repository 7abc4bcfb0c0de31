"""Two processes at one target, at the same instant: one does it, the other does no harm."""

from __future__ import annotations

import time

from trials.case import Case, faults
from trials.jobs import Workplace, by_name
from trials.left import differences, left_in

ROUND = (
    *("import", "data pack", "train", "data tidy", "predict", "data prepare", "eval", "train photographs"),
    *("train", "reproduce", "data pack", "compare", "export safetensors", "analyze", "data prepare"),
    *("train", "export huggingface", "train photographs", "eval", "export onnx"),
)


@faults(short=2, long=40)
def test_the_same_twice(case: Case, workplace: Workplace) -> None:
    job = by_name(ROUND[case.number % len(ROUND)])
    whole, place = workplace.undisturbed(job), workplace.place(job)
    later = case.dice.choice((0.0, case.dice.uniform(0, 0.1), case.dice.uniform(0, whole.seconds)))
    case.tries(f"two processes: {job.name}", f"the second {later:.3f} s later")
    try:
        one = workplace.start(job, place)
        time.sleep(later)
        other = workplace.start(job, place)
        ended = [one.wait(), other.wait()]
        for end in ended:
            end.require(case, 0, 1, 2, 3, 4)
            if end.code and "error:" not in end.err:
                raise case.fails("wrong exit", f"exit {end.code} without an error: {end.err[-2000:]}")
        if not any(end.code == 0 for end in ended):
            raise case.fails("wrong exit", "neither did it:\n" + "\n".join(end.err[-1000:] for end in ended))
        found = differences(left_in(place), whole.left)
        if found:
            column = "unnoticed" if all(text.startswith("left over") for text in found) else "lost"
            raise case.fails(column, f"{found}\n" + "\n".join(end.err[-1000:] for end in ended))
    finally:
        workplace.clear(place)


@faults(short=0, long=10)
def test_looked_at_while_it_is_written(case: Case, workplace: Workplace) -> None:
    """Other commands on a run that goes on, begun at any moment; the run is none the worse."""
    job = by_name(("train", "train photographs")[case.number % 2])
    looks = (
        ("show", "run"),
        ("eval", "run", "--split", "val", "--device", "cpu"),
        ("train", "--resume", "run"),
        ("show", "run/checkpoints/best.safetensors", "--json"),
        ("train", "shapes/base", "--out", "run", "--iterations", "3", "--device", "cpu"),
    )
    whole, place = workplace.undisturbed(job), workplace.place(job)
    case.tries(f"looked at: {job.name}", "show, eval and train --resume while it is written")
    try:
        running = workplace.start(job, place)
        tried = 0
        while not running.has_ended and tried < 12:
            argv = case.dice.choice(looks)
            time.sleep(case.dice.uniform(0, 0.1))
            workplace.run(job, place, argv=argv).require(case, 0, 2, 3, 4)
            tried += 1
        ended = running.wait()
        # It may have been the other train that made the directory.
        ended.require(case, 0, *((2,) if tried else ()))
        if ended.code == 2:
            return
        found = [text for text in differences(left_in(place), whole.left) if "cache/" not in text]
        found = [text for text in found if "test_openings" not in text and "record.json" not in text]
        if found:
            raise case.fails("lost", str(found))
    finally:
        workplace.clear(place)


@faults(short=1, long=6)
def test_one_cache(case: Case, workplace: Workplace) -> None:
    """Two that keep the same logits at the same instant."""
    job = by_name("eval")
    place = workplace.place(job)
    case.tries("one cache: eval", "the same checkpoint twice")
    argv = ("eval", "net.safetensors", "--split", "val", "--device", "cpu", "--json")
    try:
        both = [workplace.start(job, place, argv=argv) for _ in range(2)]
        answers = [running.wait().require(case, 0) for running in both]
        again = workplace.run(job, place, argv=argv).require(case, 0)
        for answer in (*answers, again):
            if errors(answer.out) != errors(again.out):
                raise case.fails("unnoticed", f"{answer.out}\n{again.out}")
        left = [name for name in left_in(place) if ".tmp" in name]
        if left:
            raise case.fails("unnoticed", f"left over: {left}")
    finally:
        workplace.clear(place)


def errors(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if "error" in line or "loss" in line]
