"""``train --nproc 2`` told to stop or killed, whichever of its processes is meant: seconds a case."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from trials.case import Case, faults
from trials.jobs import Workplace, by_name
from trials.left import differences, left_in

TRAIN = by_name("train")
JOB = replace(
    TRAIN,
    name="train --nproc 2",
    argv=(*TRAIN.argv, "--nproc", "2", "--iterations", "60"),
    resume=("train", "--resume", "run", "--nproc", "2"),
)
WHOM = ("the command", "the launcher", "a rank", "the group")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def below(pid: int) -> list[int]:
    """All that came of a process and is still there."""
    found = children(pid)
    return found + [one for child in found for one in below(child)]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@faults(short=0, long=16)
def test_ranks(case: Case, workplace: Workplace) -> None:
    whole, place = workplace.undisturbed(JOB), workplace.place(JOB)
    whom, number = WHOM[case.number % 4], SIGNALS[case.number // 4 % 3]
    # Not before the ranks are there, not after they are done.
    lines = case.dice.randint(1, 40)
    case.tries("ranks", f"{number.name} to {whom} after line {lines} of metrics.jsonl")
    metrics, everyone = place / "run" / "metrics.jsonl", []
    running = workplace.start(JOB, place)
    try:
        until = time.monotonic() + 90
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < lines:
            assert not running.has_ended, running.wait()
            assert time.monotonic() < until
            time.sleep(0.02)
        everyone = below(running.pid)
        launchers = children(running.pid)
        ranks = [one for launcher in launchers for one in children(launcher)]
        meant = {"the command": [running.pid], "the launcher": launchers[:1], "a rank": ranks[-1:]}
        if whom == "the group":
            running.signal(number, group=True)
        for pid in meant.get(whom, []):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        ended = running.wait(90)
        if number == signal.SIGKILL and whom in ("the command", "the group"):
            ended.require(case, -signal.SIGKILL)
        elif whom in ("the command", "the group"):
            ended.require(case, 130)
        else:
            ended.require(case, 0, 1, 130)
        until = time.monotonic() + 20
        while any(map(is_there, everyone)) and time.monotonic() < until:
            time.sleep(0.1)
        stay = [pid for pid in everyone if is_there(pid)]
        if stay:
            raise case.fails("hung", f"{len(stay)} of its {len(everyone)} processes go on after 20 s")
        if ended.code != 0:
            workplace.run(JOB, place, argv=JOB.resume).require(case, 0)
        found = [text for text in differences(left_in(place), whole.left) if "record.json" not in text]
        if found:
            raise case.fails("lost", str(found))
    finally:
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.signal(signal.SIGKILL, group=True)
        workplace.clear(place)


@faults(short=0, long=2)
def test_port_in_use(case: Case, workplace: Workplace) -> None:
    """Begun by hand, with a port that another program has."""
    case.tries("ranks", "the port is in use")
    place = workplace.place(TRAIN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        port = str(taken.getsockname()[1])
        ended = workplace.run(TRAIN, place, env={**env, "MASTER_PORT": port}, seconds=60)
    try:
        ended.require(case, 1, 2)
        if port not in ended.err:
            pytest.fail(f"the port is not named: {ended.err[-1000:]}")
    finally:
        workplace.clear(place)
