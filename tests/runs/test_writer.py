from __future__ import annotations

import threading
import time
from functools import partial

import pytest
import torch

from rescli.errors import CheckpointError
from rescli.runs.writer import BackgroundWriter, HostCopies


def test_copies_stay_what_they_were_and_are_contiguous() -> None:
    weight = torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last)
    expected = weight.clone()
    held = HostCopies.of({"weight": weight, "count": torch.tensor(3)})
    weight.zero_()
    held.wait()
    assert torch.equal(held.tensors["weight"], expected)
    assert held.tensors["weight"].is_contiguous()
    assert held.tensors["count"].item() == 3


@pytest.mark.gpu
def test_a_gpu_is_not_waited_for() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    weight = torch.ones(1 << 20, device="cuda")
    torch.cuda._sleep(1_000_000_000)
    held = HostCopies.of({"weight": weight})
    assert held._copied is not None
    assert not held._copied.query()
    weight.zero_()
    held.wait()
    assert held.tensors["weight"].min() == 1


def test_work_is_done_in_order_and_waited_for() -> None:
    done: list[int] = []
    writer = BackgroundWriter()
    for number in range(5):
        writer.submit(partial(done.append, number))
    writer.wait()
    assert done == [0, 1, 2, 3, 4]
    writer.close()


def test_the_submitter_goes_on_while_two_pieces_wait_and_no_more() -> None:
    gate = threading.Event()
    writer = BackgroundWriter()

    def wait_for_the_gate() -> None:
        gate.wait(10)

    writer.submit(wait_for_the_gate)
    writer.submit(lambda: None)
    timer = threading.Timer(0.05, gate.set)
    timer.start()
    assert not gate.is_set()
    writer.submit(lambda: None)  # waits for the first
    assert gate.is_set()
    writer.close()


def test_a_failure_is_told_once_at_the_next_call() -> None:
    def fail() -> None:
        raise CheckpointError("the disk is full")

    writer = BackgroundWriter()
    writer.submit(fail)
    with pytest.raises(CheckpointError, match="disk is full"):
        writer.wait()
    writer.wait()
    writer.close()


def test_closing_finishes_what_is_queued() -> None:
    done: list[int] = []

    def work() -> None:
        time.sleep(0.02)
        done.append(1)

    writer = BackgroundWriter()
    writer.submit(work)
    writer.close()
    assert done == [1]
