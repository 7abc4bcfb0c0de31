"""Single figures of a GPU, for ``gpu_first.py``.

Everything is recorded as a CUDA graph: the host, which launches slower than small kernels run, is left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from rescli.kernels.choice import self_test
from rescli.kernels.norm.plain import NormAct, norm_act
from rescli.kernels.norm.triton import norm_act_triton

__all__ = ["BATCH", "DEVICE", "conv", "copy", "floor", "norm"]

DEVICE = torch.device("cuda")
BATCH = 128
SHAPES = ((16, 32), (32, 16), (64, 8))
"""Channels and side of the stages."""
WINDOWS = 7


def floor() -> dict[str, Any]:
    """Microseconds of one dependent kernel that does nothing much, its gap included."""
    x = torch.zeros(1, device=DEVICE)
    return {"us per kernel": _microseconds(lambda: x.add_(1), repeats=1000)}


def conv() -> dict[str, Any]:
    """Microseconds and TFLOP/s of each 3x3 convolution of a CIFAR net, bf16, channels-last."""
    figures: dict[str, Any] = {}
    for batch in (128, 256):
        for channels, side in SHAPES:
            x, w = _random(batch, channels, side, side), _random(channels, channels, 3, 3)
            y = F.conv2d(x, w, padding=1)

            def gradient(which: list[bool], x: Any = x, w: Any = w, y: Any = y) -> Any:
                return torch.ops.aten.convolution_backward(
                    y, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, which
                )

            works: dict[str, Callable[[], Any]] = {
                "forward": partial(F.conv2d, x, w, padding=1),
                "dgrad": partial(gradient, [True, False, False]),
                "wgrad": partial(gradient, [False, True, False]),
            }
            flops = 2 * batch * side * side * channels * channels * 9
            for name, work in works.items():
                took = _microseconds(work, repeats=20)
                tflops = round(flops / took["median"] / 1e6, 2)
                figures[f"{batch}x{channels}x{side} {name}"] = {**took, "tflops": tflops}
    return figures


def copy() -> dict[str, Any]:
    """GB/s of a copy of 4 MB, which the cache holds, and of 256 MB; bytes read and written together."""
    figures: dict[str, Any] = {}
    for megabytes in (4, 256):
        source = torch.ones(megabytes << 20, dtype=torch.uint8, device=DEVICE)
        target = torch.empty_like(source)
        took = _microseconds(partial(target.copy_, source), repeats=20)
        figures[f"{megabytes} MB"] = {**took, "gb_per_second": round(2 * len(source) / took["median"] / 1e3)}
    return figures


def norm() -> dict[str, Any]:
    """Microseconds of batch normalisation, shortcut and ReLU, forward and backward, plain and Triton."""
    began = time.perf_counter()
    figures: dict[str, Any] = {"self_test": self_test("triton", DEVICE, [torch.bfloat16]) or "passed"}
    figures["self_test_seconds"] = round(time.perf_counter() - began, 2)
    for channels, side in SHAPES:
        for name, function in (("plain", norm_act), ("triton", norm_act_triton)):
            figures[f"{channels}x{side} {name}"] = _microseconds(_norm(function, channels, side), repeats=10)
    return figures


def _norm(function: NormAct, channels: int, side: int) -> Callable[[], Any]:
    bn = torch.nn.BatchNorm2d(channels, device=DEVICE).train()
    y, residual, dz = (_random(BATCH, channels, side, side) for _ in range(3))
    y.requires_grad_()
    residual.requires_grad_()
    leaves = [y, residual, bn.weight, bn.bias]
    return lambda: torch.autograd.grad(function(bn, y, residual), leaves, dz)


def _random(*shape: int) -> torch.Tensor:
    values = torch.randn(shape, device=DEVICE, dtype=torch.bfloat16)
    return values.contiguous(memory_format=torch.channels_last)


def _microseconds(work: Callable[[], Any], *, repeats: int) -> dict[str, float]:
    """Of one call among ``repeats`` in a recorded graph: median and extremes of several windows."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(repeats):
            work()
    graph.replay()
    windows: list[float] = []
    for _ in range(WINDOWS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(10):
            graph.replay()
        end.record()
        torch.cuda.synchronize()
        windows.append(1000 * start.elapsed_time(end) / (10 * repeats))
    figures = {"median": statistics.median(windows), "min": min(windows), "max": max(windows)}
    return {name: round(value, 3) for name, value in figures.items()} | {"n": WINDOWS}
