from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from rescli.data.photos import prefetch
from rescli.data.photos.prefetch import map_ahead, map_quick


def test_in_order_however_long_each_takes() -> None:
    def slow_when_even(item: int) -> int:
        time.sleep(0.002 * (item % 2 == 0))
        return item * item

    assert list(map_ahead(slow_when_even, range(50), threads=3)) == [i * i for i in range(50)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_as_many_results_as_items(count: int) -> None:
    assert list(map_ahead(str, range(count), threads=2)) == [str(i) for i in range(count)]


def test_no_further_ahead_than_four_per_thread() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), threads=3)
    assert taken == []
    assert next(results) == 0
    assert len(taken) == 12
    assert next(results) == 1
    assert len(taken) == 13
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_in_its_turn_and_ends_the_work() -> None:
    done = []

    def fail_at_five(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        done.append(item)
        return item

    results = map_ahead(fail_at_five, range(1000), threads=2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert len(done) < 20
    assert list(results) == []


def test_who_stops_early_does_not_wait_for_the_rest() -> None:
    done = []

    def slow(item: int) -> int:
        time.sleep(0.05)
        done.append(item)
        return item

    results = map_ahead(slow, range(100), threads=1)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) < 4  # four were submitted


def test_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = map_ahead(str, range(100), threads=4)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
def test_quick_work_is_done_in_order_in_this_thread(count: int) -> None:
    def where(item: int) -> tuple[int, str]:
        return item, threading.current_thread().name

    here = threading.current_thread().name
    assert list(map_quick(where, range(count), threads=4)) == [(item, here) for item in range(count)]


def test_what_is_waited_for_is_done_in_several_threads() -> None:
    seen = set()

    def slow(item: int) -> int:
        seen.add(threading.current_thread().name)
        time.sleep(0.001)
        return item

    assert list(map_quick(slow, range(300), threads=3)) == list(range(300))
    assert len(seen) > 2


def test_who_leaves_early_does_not_wait_for_a_disk_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefetch, "_LEAVING_SECONDS", 0.05)
    answers = threading.Event()
    results = map_ahead(lambda number: number and answers.wait(60), range(9), threads=2)
    assert next(results) == 0
    began = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    answers.set()


def test_who_is_interrupted_does_not_wait_for_the_one_file_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefetch, "_LEAVING_SECONDS", 0.05)
    answers = threading.Event()

    def interrupted(_: Future[object]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(map_ahead(lambda _: answers.wait(20), range(1), threads=1))
    assert time.monotonic() - began < 10
    answers.set()
