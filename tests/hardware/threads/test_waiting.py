"""How the threads that compute wait: what decides it, and that the runtime does it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rescli.hardware.threads import openmp, waiting
from rescli.hardware.threads.openmp import ShortWaiting, find_libgomp
from rescli.hardware.threads.processor_time import Reading, Seen
from rescli.hardware.threads.waiting import Waiting, Watch, decide, watching, why_unwatched

CPU = torch.device("cpu")

IDLE = Seen(seconds=0.5, computed=1.98, without_core=0.02, others=0.01)
BESIDE_ONE = Seen(seconds=0.5, computed=1.3, without_core=0.7, others=0.7)
SHORT_BESIDE_ONE = Seen(seconds=0.5, computed=1.0, without_core=0.5, others=1.0)


def after(seen: list[Seen], before: Waiting | None = None, threads: int = 2, cores: int = 2) -> Waiting:
    found = before or Waiting()
    for one in seen:
        found = decide(found, one, threads=threads, cores=cores)
    return found


def beside(short: Waiting) -> list[Seen]:
    return [SHORT_BESIDE_ONE if short.short else BESIDE_ONE]


class TestDecide:
    def test_alone_they_wait_long(self) -> None:
        assert not after([IDLE] * 100).short

    def test_beside_a_busy_process_they_wait_short_within_a_second(self) -> None:
        assert not after([BESIDE_ONE]).short
        assert after([BESIDE_ONE] * 2).short

    def test_a_moment_of_work_of_a_thread_of_ours_changes_nothing(self) -> None:
        assert not after([IDLE, BESIDE_ONE, IDLE] * 20).short

    def test_what_is_nice_is_not_heeded(self) -> None:
        nice = Seen(seconds=0.5, computed=1.95, without_core=0.05, others=0.0)
        assert not after([nice] * 20).short

    def test_as_long_as_the_other_is_there_they_wait_short(self) -> None:
        assert after([BESIDE_ONE] * 2 + [SHORT_BESIDE_ONE] * 1000).short

    def test_when_it_has_gone_they_wait_long_after_some_seconds(self) -> None:
        short = after([BESIDE_ONE] * 2)
        assert after([IDLE] * 5, short).short
        assert not after([IDLE] * 6, short).short

    def test_one_that_is_seen_by_its_use_alone_keeps_them_short(self) -> None:
        # Threads that sleep much are seldom without a core, though one is taken.
        unseen = Seen(seconds=0.5, computed=1.0, without_core=0.0, others=1.0)
        assert after([*[BESIDE_ONE] * 2, *[unseen] * 100]).short

    def test_one_that_fits_on_the_cores_that_are_left_is_none(self) -> None:
        left = Seen(seconds=0.5, computed=4.0, without_core=0.02, others=11.0)
        assert not after([left] * 20, threads=4, cores=16).short
        assert not after([left] * 20, after([BESIDE_ONE] * 2), threads=4, cores=16).short

    def test_one_that_comes_and_goes_is_waited_for_ever_longer(self) -> None:
        waits, found = [], Waiting()
        for _ in range(7):
            found = after([BESIDE_ONE] * 2, found)
            waits.append(found.patience)
            while found.short:
                found = after([IDLE], found)
        assert waits == [3, 6, 12, 24, 48, 60, 60]

    def test_and_after_a_long_calm_no_longer_than_at_first(self) -> None:
        found = Waiting(patience=60.0, since=0.0)
        assert after([*[IDLE] * 1000, *[BESIDE_ONE] * 2], found).patience == 3

    def test_while_little_is_computed_nothing_is_concluded(self) -> None:
        pause = Seen(seconds=0.5, computed=0.05, without_core=0.0, others=0.0)
        assert after([*[BESIDE_ONE] * 2, *[pause] * 100]).short

    def test_where_only_the_use_of_cores_is_known_that_decides(self) -> None:
        busy = Seen(seconds=0.5, computed=1.3, without_core=None, others=0.7)
        calm = Seen(seconds=0.5, computed=1.9, without_core=None, others=0.1)
        assert not after([calm] * 20).short
        assert after([busy] * 2).short
        assert after([*[busy] * 2, *[busy] * 50]).short
        assert not after([*[busy] * 2, *[calm] * 6]).short

    def test_who_rests_does_not_mind_that_others_use_all_cores(self) -> None:
        resting = Seen(seconds=0.5, computed=0.01, without_core=None, others=2.0)
        assert not after([resting] * 20).short

    def test_where_only_the_delay_is_known_that_decides(self) -> None:
        busy = Seen(seconds=0.5, computed=1.3, without_core=0.7, others=None)
        calm = Seen(seconds=0.5, computed=1.9, without_core=0.0, others=None)
        assert after([busy] * 2).short
        assert not after([*[busy] * 2, *[calm] * 6]).short


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


with_libgomp = pytest.mark.skipif(find_libgomp() is None, reason="torch computes with another runtime here")


def own_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def eventually(true: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(true() or pause.wait(0.01) for _ in range(500))


@with_libgomp
class TestShortWaiting:
    def test_the_pool_is_there_until_its_end(self) -> None:
        libgomp = find_libgomp()
        assert libgomp is not None
        before = own_threads()
        held = ShortWaiting(libgomp, 3)
        assert eventually(lambda: own_threads() == before + 4)  # and the one that opened it
        held.end()
        assert eventually(lambda: own_threads() == before)

    def test_a_library_that_is_not_loaded_is_not_loaded(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="nothing"):
            ShortWaiting(tmp_path / "nothing.so", 1)

    def test_a_library_without_the_function_is_none(self) -> None:
        maps = Path("/proc/self/maps").read_text().splitlines()
        libc = next(line.split()[-1] for line in maps if "libc.so" in line)
        with pytest.raises(OSError, match="GOMP_parallel"):
            ShortWaiting(Path(libc), 1)

    def test_without_room_for_threads_the_runtime_is_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        libgomp = find_libgomp()
        assert libgomp is not None

        def refuse(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            ShortWaiting(libgomp, 3)


class TestFindLibgomp:
    @pytest.fixture
    def maps(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
        def put(*paths: str) -> None:
            lines = [f"7f00-7f01 r-xp 00000000 fd:00 {number} {path}" for number, path in enumerate(paths)]
            (tmp_path / "maps").write_text("\n".join(["7f00-7f01 rw-p 0 00:00 0", *lines]))

        monkeypatch.setattr(openmp, "_MAPS", tmp_path / "maps")
        monkeypatch.setattr(openmp.torch, "__file__", "/site/torch/__init__.py")
        find_libgomp.cache_clear()
        yield put
        find_libgomp.cache_clear()

    @pytest.mark.parametrize(
        ("loaded", "found"),
        [
            (["/site/torch/lib/libgomp.so.1"], "/site/torch/lib/libgomp.so.1"),
            (["/site/torch/lib/libgomp-a34b3233.so.1"] * 3, "/site/torch/lib/libgomp-a34b3233.so.1"),
            (["/usr/lib/libgomp.so.1.0.0", "/usr/lib/libc.so.6"], "/usr/lib/libgomp.so.1.0.0"),
            (
                ["/site/scikit_learn.libs/libgomp.so.1", "/site/torch/lib/libgomp.so.1"],
                "/site/torch/lib/libgomp.so.1",
            ),
            (["/conda/lib/libiomp5.so"], None),
            (["/conda/lib/libomp.so", "/usr/lib/libgomp.so.1"], None),
            (["/usr/lib/libgomp.so.1", "/site/scikit_learn.libs/libgomp.so.1"], None),
            (["/opt/my libs/libgomp.so.1"], "/opt/my libs/libgomp.so.1"),
            ([], None),
        ],
    )
    def test_the_one_that_torch_computes_with(
        self, maps: Callable[..., None], loaded: list[str], found: str | None
    ) -> None:
        maps(*loaded)
        assert find_libgomp() == (found and Path(found))

    def test_elsewhere_there_is_none(
        self, maps: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        maps("/site/torch/lib/libgomp.so.1")
        monkeypatch.setattr(openmp.sys, "platform", "darwin")
        assert find_libgomp() is None


@pytest.mark.usefixtures("unset", "two_threads")
class TestWhyUnwatched:
    @with_libgomp
    def test_here_it_is_watched(self) -> None:
        assert why_unwatched() is None

    @with_libgomp
    def test_a_number_of_threads_says_nothing_of_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert why_unwatched() is None

    @pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_PROC_BIND"])
    def test_what_the_user_says_counts(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, "1")
        assert why_unwatched() == f"{name} is set"

    def test_one_thread_waits_for_none(self) -> None:
        torch.set_num_threads(1)
        assert why_unwatched() == "one thread alone has no other to wait for"

    def test_another_runtime(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting, "find_libgomp", lambda: None)
        assert why_unwatched() == "the threads are not of GNU's OpenMP runtime"

    @with_libgomp
    def test_a_kernel_that_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting, "read_processor_time", lambda: None)
        assert why_unwatched() == "nothing tells how the cores are shared"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Lets a watch look a hundred times a second, at a machine of two cores that is made busy or calm."""
    is_busy = [True]
    counted = {"at": 0.0, "computed": 0.0, "delay": 0.0, "used": 0.0}

    def read() -> Reading:
        seen = BESIDE_ONE if is_busy[0] else IDLE
        assert seen.without_core is not None
        assert seen.others is not None
        counted["at"] += seen.seconds
        counted["computed"] += seen.seconds * seen.computed
        counted["delay"] += seen.seconds * seen.without_core
        counted["used"] += seen.seconds * (seen.computed + seen.others)
        return Reading(counted["at"], counted["computed"], {1: counted["delay"]}, counted["used"], {}, 2)

    monkeypatch.setattr(waiting, "read_processor_time", read)
    monkeypatch.setattr(waiting, "_PERIOD", 0.01)
    monkeypatch.setattr(waiting, "_SAY_SECONDS", 0.02)
    monkeypatch.setattr(Watch, "_left", (Waiting(), float("-inf")))
    return lambda now: is_busy.__setitem__(0, now)


def holds() -> bool:
    return any(thread.name == "rescli-short-waiting" for thread in threading.enumerate())


def watches() -> bool:
    return any(thread.name == "rescli-waiting" for thread in threading.enumerate())


@with_libgomp
@pytest.mark.usefixtures("unset", "two_threads")
class TestWatch:
    def test_it_follows_the_machine_and_leaves_nothing(self, busy: Callable[[bool], None]) -> None:
        before = own_threads()
        with watching(CPU) as watch:
            assert eventually(holds)
            assert eventually(lambda: own_threads() == before + 3)  # the watch, the holder, one that sleeps
            busy(False)
            assert eventually(lambda: not holds())
            busy(True)
            assert eventually(holds)
        assert not holds()
        assert not watches()
        assert eventually(lambda: own_threads() == before)
        assert watch is not None
        assert (watch.short_seconds or 0) > 0

    def test_it_says_once_that_the_machine_is_busy(
        self, busy: Callable[[bool], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "rescli"), watching(CPU) as watch:
            assert eventually(lambda: bool(caplog.records))
            assert watch is not None
            more = (watch.short_seconds or 0.0) + 0.1
            assert eventually(lambda: (watch.short_seconds or 0.0) > more)
        (record,) = caplog.records
        assert record.getMessage().startswith("other programs use 0.7 of the 2 cores here")

    def test_it_says_nothing_where_nobody_wants_to_hear(
        self, busy: Callable[[bool], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "rescli"), watching(CPU, say=False) as watch:
            assert watch is not None
            assert eventually(lambda: (watch.short_seconds or 0.0) > 0.1)
        assert not caplog.records

    def test_one_that_begins_soon_after_goes_on_as_the_last_ended(
        self, busy: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with watching(CPU):
            assert eventually(holds)
        monkeypatch.setattr(waiting, "_PERIOD", 100.0)
        with watching(CPU):
            assert eventually(holds)
        assert not holds()

    def test_within_another_there_is_no_second(self, busy: Callable[[bool], None]) -> None:
        with watching(CPU) as outer:
            with watching(CPU) as inner:
                assert inner is outer
            assert watches()
        assert not watches()

    def test_an_error_ends_it_too(self, busy: Callable[[bool], None]) -> None:
        def fail() -> None:
            with watching(CPU):
                assert eventually(holds)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not watches()
        assert not holds()

    def test_the_results_stay_the_same(self, busy: Callable[[bool], None]) -> None:
        one, other = torch.randn(300, 300), torch.randn(300, 300)
        long = one @ other
        with watching(CPU):
            assert eventually(holds)
            assert torch.equal(one @ other, long)
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2

    def test_without_room_for_a_thread_nothing_is_watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with watching(CPU) as watch:
            assert watch is not None
            assert watch.short_seconds is None

    def test_an_interrupt_as_it_begins_leaves_no_watch(
        self, busy: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = threading.Thread.start

        def interrupted(thread: threading.Thread) -> None:
            start(thread)
            if thread.name == "rescli-waiting":
                raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt), watching(CPU):
            pass
        assert eventually(lambda: not watches() and not holds())

    def test_a_user_who_decides_is_not_watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
        with watching(CPU) as watch:
            assert not watches()
        assert watch is not None
        assert watch.short_seconds is None

    def test_on_another_device_nothing_is_watched(self) -> None:
        with watching(torch.device("meta")) as watch:
            assert watch is None
            assert not watches()

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_process_neither_hangs_nor_takes_the_watch_for_its_own(
        self, busy: Callable[[bool], None]
    ) -> None:
        with watching(CPU) as outer:
            assert eventually(holds)
            child = os.fork()
            if child == 0:
                torch.set_num_threads(1)
                with watching(CPU) as inner:
                    is_own = inner is not outer
                outer.__exit__() if outer else None
                os._exit(0 if is_own else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
