"""Whether this CPU is faster in bf16: tried, since torch computes bf16 everywhere, often by emulating it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F

from rescli.hardware.bf16_flag import claims_bf16

__all__ = ["bf16_pays_off"]

_ROUNDS = 3
_MORE_ROUNDS = 9
"""Where the first ones gainsay the processor's own flags: another program may have met all of them."""

_GAIN = 1.2
"""Below it the rest of a step eats up what is gained. Seen: 2.0 with avx512_bf16, 0.1 to 0.4 emulated."""

# What this thread has computed, whoever else wants the processor; Windows counts it in steps of 16 ms.
_clock = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-4 else time.perf_counter

_HOPELESS = 3.0


@cache
def bf16_pays_off() -> bool:
    """Whether a 3x3 convolution of the first stage, forward and backward, is faster in bf16 than in fp32.

    It takes about 30 ms, and three times as long where the processor's flags say otherwise. The fastest of a
    few rounds on one thread counts: on a busy machine threads that wait for each other would be what is
    measured, and a run must find the same precision each time.
    """
    fastest = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    with _one_thread():
        for rounds in (_ROUNDS, _MORE_ROUNDS):
            for _ in range(rounds):
                for dtype in fastest:
                    fastest[dtype] = min(fastest[dtype], _seconds(dtype))
                if fastest[torch.bfloat16] > _HOPELESS * fastest[torch.float32]:
                    break  # emulated, and slow to find out more exactly
            pays_off = fastest[torch.float32] > _GAIN * fastest[torch.bfloat16]
            if pays_off == claims_bf16():
                break
    return pays_off


def _seconds(dtype: torch.dtype) -> float:
    images = torch.ones(16, 16, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones(16, 16, 3, 3, dtype=dtype, requires_grad=True)
    began = _clock()
    F.conv2d(images.requires_grad_(), weight, padding=1).sum().backward()  # type: ignore[no-untyped-call]
    return _clock() - began


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
