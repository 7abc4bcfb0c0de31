"""What the kernel counts of the cores, read from files made for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rescli.hardware.threads import processor_time
from rescli.hardware.threads.processor_time import Reading, read_processor_time

TICKS = 100


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a file into a /proc of a process with two threads, on cores 0 and 2."""

    def put(name: str, content: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    monkeypatch.setattr(processor_time, "_PROC", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2}, raising=False)
    monkeypatch.setattr(os, "getpriority", lambda _which, _who: 0)
    monkeypatch.setattr(os, "sysconf", lambda _name: TICKS)
    put("self/task/11/schedstat", "5000000000 250000000 7\n")
    put("self/task/12/schedstat", "3000000000 500000000 7\n")
    put("self/task/11/children", "31 32 ")
    put("31/stat", "31 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 9")
    put(
        "stat",
        "cpu 9 9 9 9 9 9 9 9 9 9\n"
        "cpu0 100 50 200 9000 10 1 2 30 0 0\n"
        "cpu1 7777 0 7777 0 0 0 0 0 0 0\n"
        "cpu2 300 60 400 9000 10 3 4 30 0 0\n"
        "intr 1\n",
    )
    return put


def read() -> Reading:
    reading = read_processor_time()
    assert reading is not None
    return reading


@pytest.mark.usefixtures("proc")
def test_delays_use_and_children_are_read_in_seconds() -> None:
    reading = read()
    assert reading.delays == {11: 0.25, 12: 0.5}
    # User, system and interrupts of the cores that are ours; neither nice nor stolen time.
    assert reading.used == pytest.approx((100 + 200 + 1 + 2 + 300 + 400 + 3 + 4) / TICKS)
    assert reading.by_children == {31: 2.0}  # and 32 has ended
    assert reading.cores == 2


@pytest.mark.usefixtures("proc")
def test_who_is_nice_counts_what_is_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpriority", lambda _which, _who: 10)
    assert read().used == pytest.approx((1010 + 50 + 60) / TICKS)


def test_without_schedstat_only_the_use_is_known(proc: Callable[[str, str], None]) -> None:
    for thread in (11, 12):
        proc(f"self/task/{thread}/schedstat", "0 0 0\n")
    reading = read()
    assert reading.delays is None
    assert reading.used is not None


def test_without_stat_only_the_delays_are_known(proc: Callable[[str, str], None]) -> None:
    proc("stat", "nothing\n")
    reading = read()
    assert reading.delays is not None
    assert reading.used is None


def test_without_both_there_is_no_reading(tmp_path: Path, proc: Callable[[str, str], None]) -> None:
    proc("stat", "")
    for thread in (11, 12):
        (tmp_path / "self" / "task" / str(thread) / "schedstat").unlink()
    assert read_processor_time() is None


def test_without_affinity_there_is_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert read_processor_time() is None


def test_what_happened_between_two_readings() -> None:
    before = Reading(10.0, 4.0, {1: 1.0, 2: 5.0}, 20.0, {7: 1.0, 8: 1.0}, 2)
    after = Reading(12.0, 6.0, {1: 1.5, 3: 0.25}, 24.0, {7: 2.0, 9: 3.0}, 2)
    seen = after.since(before)
    assert (seen.seconds, seen.computed) == (2.0, 1.0)
    assert seen.without_core == 0.25  # of the thread that was there both times
    assert seen.others == pytest.approx(0.5)  # of 2 cores, less ours and our child's


def test_others_are_never_fewer_than_none() -> None:
    before, after = Reading(0, 0, {}, 0.0, {}, 2), Reading(1, 2.0, {}, 1.9, {}, 2)
    assert after.since(before).others == 0.0
