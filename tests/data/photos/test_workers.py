"""Processes that make batches: lost, signalled, left behind, and without a file system to share."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.photos import loader as loader_module
from rescli.data.photos import workers as workers_module
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.data.photos.workers import WorkerLost, Workers
from rescli.errors import Interrupted, LostWorkersError

CHECKOUT = Path(__file__).resolve().parents[3]


def squares(step: int, pixels: np.ndarray) -> int:
    pixels[:] = step
    if step == 9:
        raise ValueError("nine")
    return step * step


@pytest.fixture
def workers() -> Iterator[Workers[int]]:
    made = Workers(squares, (3, 2), first_step=4, count=2)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / f"class{number % 3}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return read_folder(tmp_path, ("all",))["all"]


def loader_of(files: ImageFiles, *, workers: int = 0) -> PhotoLoader:
    return PhotoLoader(
        files,
        Normalization("per-channel", torch.full((3, 1, 1), 0.5), torch.full((3,), 0.25)),
        batch_size=4,
        seed=3,
        device="cpu",
        size=32,
        shorter_side=(32, 48),
        flip=True,
        color=0.1,
        skip_damaged=False,
        workers=workers,
    )


def pids(loader: PhotoLoader) -> list[int]:
    assert loader._ahead is not None
    return [process.pid for process in loader._ahead._processes if process.pid is not None]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    until = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < until, f"process {pid} lives on"
        time.sleep(0.02)


def test_batches_come_in_the_order_of_steps_and_what_make_raises_is_raised(workers: Workers[int]) -> None:
    for step in range(4, 9):
        made, pixels = workers.take()
        assert (made, pixels.tolist()) == (step * step, [[step, step]] * 3)
    with pytest.raises(ValueError, match="nine"):
        workers.take()


def test_pixels_are_lent_until_they_are_given_back(workers: Workers[int]) -> None:
    _, pixels = workers.take()
    time.sleep(0.2)  # each worker has made all that it was asked for
    assert pixels.tolist() == [[4, 4]] * 3


def test_a_lost_worker_is_told_by_how_it_ended(workers: Workers[int]) -> None:
    workers.take()
    for process in workers._processes:
        process.kill()
        process.join()
    with pytest.raises(WorkerLost, match="was killed by SIGKILL") as caught:
        [workers.take() for _ in range(5)]  # those that were made before are whole
    assert caught.value.killed


def test_without_fork_the_pixels_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = multiprocessing.get_context("fork")  # a spawned worker would read torch for seconds
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _name: fork)
    workers = Workers(squares, (3, 2), first_step=0, count=2)
    for step in range(5):
        made, pixels = workers.take()
        assert (made, pixels.tolist()) == (step * step, [[step, step]] * 3)
    workers.close()


def test_signals_to_all_processes_leave_the_workers_at_work(files: ImageFiles) -> None:
    loader = loader_of(files, workers=2)
    loader.batch(0)
    before = pids(loader)
    for pid in before:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU):
            os.kill(pid, number)
    assert loader.batch(1)[0].equal(loader_of(files).batch(1)[0])
    assert pids(loader) == before
    assert all(map(is_alive, before))
    loader.close()
    assert not any(map(is_alive, before))


def test_a_killed_worker_is_begun_anew_with_the_same_bits(
    files: ImageFiles, caplog: pytest.LogCaptureFixture
) -> None:
    alone, helped = loader_of(files), loader_of(files, workers=2)
    with caplog.at_level(logging.WARNING):
        for step in range(6):
            if step == 3:
                os.kill(pids(helped)[step % 2], signal.SIGKILL)
            for ours, theirs in zip(alone.batch(step), helped.batch(step), strict=True):
                assert ours.equal(theirs)
        for step in range(6, 12):  # the loss shows when what was made before is used up
            assert alone.batch(step)[0].equal(helped.batch(step)[0])
    helped.close()
    (record,) = caplog.records
    assert "was killed by SIGKILL at iteration" in record.getMessage()
    assert "need less memory" in record.getMessage()


def test_one_that_is_killed_again_and_again_is_an_error(
    files: ImageFiles, caplog: pytest.LogCaptureFixture
) -> None:
    loader = loader_of(files, workers=1)
    begin = loader._batches.__class__.__call__

    def dying(self: object, step: int, pixels: np.ndarray) -> object:
        if step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return begin(self, step, pixels)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader_module._Batches, "__call__", dying)
        loader.batch(0)
        loader.batch(1)
        with pytest.raises(LostWorkersError, match="killed by SIGKILL at iteration 2") as caught:
            loader.batch(2)
    assert len(caplog.records) == 3
    assert "fewer processes that decode" in str(caught.value.hint)


def test_processes_that_cannot_be_begun_are_an_error(
    files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(loader_module, "Workers", refused)
    with pytest.raises(LostWorkersError, match="cannot be begun: Resource temporarily unavailable"):
        loader_of(files, workers=3).batch(0)


def test_nothing_is_put_into_dev_shm(files: ImageFiles) -> None:
    before = set(os.listdir("/dev/shm"))
    loader = loader_of(files, workers=2)
    loader.batch(0)
    assert {name for name in os.listdir("/dev/shm") if name.startswith("torch_")} <= before
    loader.close()


SCRIPT = """
import sys, time
from rescli.data.photos.workers import Workers

def make(step, pixels):
    return step

if __name__ == "__main__":
    workers = Workers(make, (2, 2), first_step=0, count=2)
    workers.take()
    print(*(process.pid for process in workers._processes), flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_workers_end_with_the_process_that_began_them(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), "wait" if how == "killed" else "end"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert process.stdout is not None
    left = [int(pid) for pid in process.stdout.readline().split()]
    assert len(left) == 2
    if how == "killed":
        process.kill()
    _, err = process.communicate(timeout=20)  # at its end nothing waits for workers deaf to SIGTERM
    assert err == ""
    for pid in left:
        wait_for_end(pid)


def test_a_batch_that_does_not_come_is_spoken_of_and_ends_once_training_is_to_stop(
    files: ImageFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a mount whose server is gone."""
    monkeypatch.setattr(loader_module, "_SILENT_SECONDS", 0.0)
    monkeypatch.setattr(workers_module, "_LOOK_SECONDS", 0.02)
    loader = loader_of(files, workers=1)
    loader.batch(0)
    (pid,) = pids(loader)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 5

    loader.should_stop = stop
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(Interrupted, match="while it waited for images"):
        list(map(loader.batch, range(1, 9)))
    assert not is_alive(pid)
    assert "waits for its images" in caplog.text
    assert str(files.root) in caplog.text
    assert len(asked) == 5 + loader_module._LAST_SECONDS + 1
