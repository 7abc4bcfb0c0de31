"""The first measurement on a GPU: what launches, kernels and memory of this card cost, then the race.

    python benchmarks/gpu_first.py --json benchmarks/results/gpu-first.json

Needs rescli importable and, for the race, CIFAR-10 (RESCLI_DATA); embedded images serve where it is absent.
Under 10 minutes, a short table last. Every part is tried; one that fails is named and the rest goes on.

floor     microseconds of one dependent empty kernel in a CUDA graph, its gap included
launch    microseconds of host time for each operation of an eager ResNet-20 step
conv      milliseconds of each 3x3 convolution of ResNet-20, forward, input and weight gradients, bf16 NHWC,
          and TFLOP/s
copy      GB/s of a copy of 4 MB (cache) and of 256 MB (memory), read and written bytes together
norm      microseconds of batch normalisation with shortcut and ReLU, forward and backward, plain and Triton
capture   seconds to the first recorded step, its memory, and equality with 50 eager steps, by depth
resume    whether a run that was stopped ends with the bits of one that was not
race      ``rescli bench`` of ResNet-20, -56 and -110 at batch 128, with every contender
schedule  seconds of 64,000 iterations, from 2,000 through ``rescli train`` (--schedule-iterations)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from rescli.kernels.choice import self_test
from rescli.kernels.norm import NormAct, norm_act
from rescli.runs.assemble import Assembly, assemble
from rescli.runs.record import device_name, now, provenance
from rescli.spec.load import load_spec
from rescli.training.engines.eager import EagerEngine
from rescli.training.precision import Numerics
from rescli.training.state import TrainState

DEVICE = torch.device("cuda")
NUMERICS = Numerics(DEVICE, "bf16")
BATCH = 128
SHAPES = ((16, 32), (32, 16), (64, 8))
"""Channels and side of the stages."""


def milliseconds(work: Callable[[], Any], *, times: int = 50) -> float:
    """The median of several windows, between events, after a warm-up."""
    for _ in range(5):
        work()
    windows: list[float] = []
    for _ in range(7):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(times):
            work()
        end.record()
        torch.cuda.synchronize()
        windows.append(start.elapsed_time(end) / times)
    return statistics.median(windows)


def floor() -> dict[str, Any]:
    x, links = torch.zeros(1, device=DEVICE), 1000
    graph = torch.cuda.CUDAGraph()
    x.add_(1)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(links):
            x.add_(1)
    return {"microseconds_per_kernel": 1000 * milliseconds(graph.replay, times=5) / links}


def launch() -> dict[str, Any]:
    from rescli.bench.counts import OperationCounter

    state, engine = _eager(_assembly(20))
    for _ in range(10):
        engine.advance(0.1)
    with OperationCounter() as counter:
        _begin(state)
        engine.advance(0.1)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        _begin(state)
        engine.advance(0.1)
    host = time.perf_counter() - began
    torch.cuda.synchronize()
    return {
        "operations": counter.count,
        "host_milliseconds_per_step": 1000 * host / 20,
        "microseconds_per_operation": 1e6 * host / 20 / counter.count,
        "milliseconds_per_step": 1000 * (time.perf_counter() - began) / 20,
    }


def conv() -> dict[str, Any]:
    figures = {}
    for batch in (128, 256):
        for channels, side in SHAPES:
            x, w = _random(batch, channels, side, side), _random(channels, channels, 3, 3)
            y = F.conv2d(x, w, padding=1)

            def gradient(which: list[bool], x: Any = x, w: Any = w, y: Any = y) -> Any:
                return torch.ops.aten.convolution_backward(
                    y, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, which
                )

            flops = 2 * batch * side * side * channels * channels * 9
            works: dict[str, Callable[[], Any]] = {
                "forward": partial(F.conv2d, x, w, padding=1),
                "dgrad": partial(gradient, [True, False, False]),
                "wgrad": partial(gradient, [False, True, False]),
            }
            for name, work in works.items():
                took = milliseconds(work)
                figures[f"{batch}x{channels}x{side} {name}"] = {
                    "milliseconds": took,
                    "tflops": flops / took / 1e9,
                }
    return figures


def copy() -> dict[str, Any]:
    figures = {}
    for megabytes in (4, 256):
        source = torch.ones(megabytes << 20, dtype=torch.uint8, device=DEVICE)
        target = torch.empty_like(source)
        took = milliseconds(lambda s=source, t=target: t.copy_(s))  # type: ignore[misc]
        figures[f"{megabytes} MB, GB/s"] = 2 * len(source) / took / 1e6
    return figures


def norm() -> dict[str, Any]:
    from rescli.kernels.norm_triton import norm_act_triton

    figures: dict[str, Any] = {"self_test_seconds": None}
    began = time.perf_counter()
    figures["self_test"] = self_test(DEVICE) or "passed"
    figures["self_test_seconds"] = time.perf_counter() - began
    for channels, side in SHAPES:
        figures |= {
            f"{channels}x{side} {name}, us": 1000 * _norm_milliseconds(function, channels, side)
            for name, function in (("plain", norm_act), ("triton", norm_act_triton))
        }
    return figures


def _norm_milliseconds(function: NormAct, channels: int, side: int) -> float:
    bn = torch.nn.BatchNorm2d(channels, device=DEVICE).train()
    y, residual, dz = (_random(BATCH, channels, side, side) for _ in range(3))
    y.requires_grad_()
    residual.requires_grad_()
    leaves = [y, residual, bn.weight, bn.bias]

    def both() -> None:
        torch.autograd.grad(function(bn, y, residual), leaves, dz)

    # Within a graph, as training runs it: the host's part is left out.
    with torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
        for _ in range(3):
            both()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            for _ in range(10):
                both()
    return milliseconds(graph.replay, times=10) / 10


def capture() -> dict[str, Any]:
    figures = {}
    for kind, depth in (("resnet", 20), ("plain", 56), ("resnet", 110), ("resnet", 1202)):
        torch.cuda.reset_peak_memory_stats()
        assembly = _assembly(depth, kind, engine="graph")
        began = time.perf_counter()
        state = assembly.new_state()
        engine = assembly.choose_engine(state).engine
        engine.advance(0.1)
        torch.cuda.synchronize()
        row = {"seconds": time.perf_counter() - began, "gigabytes": torch.cuda.max_memory_allocated() / 1e9}
        if depth <= 110:
            row |= _equality(assembly)
        figures[f"{kind}-{depth}"] = row
    return figures


def _equality(assembly: Assembly) -> dict[str, Any]:
    """50 recorded steps and 50 eager ones from the same state."""
    ends = []
    for chosen in ("graph", "eager"):
        state = assembly.new_state()
        engine = assembly.choose_engine(state).engine if chosen == "graph" else _eager_of(assembly, state)
        for _ in range(50):
            _begin(state)
            engine.advance(0.1)
        ends.append([tensor.detach().clone() for tensor in state.model.state_dict().values()])
    differences = [
        float((one.double() - other.double()).abs().max()) for one, other in zip(*ends, strict=True)
    ]
    return {"50_steps_bitwise_equal": not any(differences), "largest_difference": max(differences)}


def resume() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        spec = ["--model", "resnet-20", "--batch-size", "128", "--set", "checkpoint.every=100"]
        whole, parted = Path(folder) / "whole", Path(folder) / "parted"
        common = ["train", _preset(), *spec, "--iterations", "400", "--quiet", "--json"]
        _rescli(*common, "--out", str(whole))
        process = subprocess.Popen(
            [sys.executable, "-m", "rescli", *common, "--out", str(parted)], stdout=subprocess.DEVNULL
        )
        while not (parted / "state" / "latest.json").exists() and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
        _rescli("train", "--resume", str(parted), "--quiet", "--json")
        last = "checkpoints/last.safetensors"
        return {"equal_files": (whole / last).read_bytes() == (parted / last).read_bytes()}


def race() -> dict[str, Any]:
    figures = {}
    for depth in (20, 56, 110):
        contenders = ("p1", "p2", "p3", "p4", "bare-step", "whole-loop", "loader")
        # Compiling the deeper nets whole takes minutes each.
        named = [name for name in contenders if depth == 20 or name not in ("p3", "p4")]
        flags = [part for name in named for part in ("--contender", name)]
        figures[f"resnet-{depth}"] = json.loads(
            _rescli(
                *("bench", f"resnet-{depth}", "--dataset", _dataset(), "--batch-size", str(BATCH)),
                *("--rounds", "5", "--window", "0.5", "--json", *flags),
            )
        )
    return figures


def schedule(iterations: int) -> dict[str, Any]:
    figures = {}
    for depth in (20, 56, 110):
        with tempfile.TemporaryDirectory() as folder:
            record = json.loads(
                _rescli(
                    *("train", _preset(), "--model", f"resnet-{depth}", "--batch-size", str(BATCH)),
                    *("--iterations", str(iterations), "--quiet", "--json", "--out", f"{folder}/run"),
                )
            )
        figures[f"resnet-{depth}"] = {
            "seconds_of_64000_iterations": record["train_seconds"] * 64000 / iterations,
            "measured_iterations": iterations,
            "engine": record["engine"],
            "kernels": record["kernels"],
            "peak_memory_bytes": record["peak_memory_bytes"],
        }
    return figures


def _random(*shape: int) -> torch.Tensor:
    values = torch.randn(shape, device=DEVICE, dtype=torch.bfloat16)
    return values.to(memory_format=torch.channels_last)


def _dataset() -> str:
    return "cifar10" if os.environ.get("RESCLI_DATA") else "shapes"


def _preset() -> str:
    return "he2015/resnet-20" if _dataset() == "cifar10" else "shapes/base"


def _assembly(depth: int, kind: str = "resnet", engine: str = "auto") -> Assembly:
    spec = load_spec("shapes/base", [("model", {"kind": kind, "depth": depth}), ("data.batch_size", BATCH)])
    return assemble(spec, numerics=NUMERICS, data_root=None, engine=engine)


def _eager(assembly: Assembly) -> tuple[TrainState, EagerEngine]:
    state = assembly.new_state()
    return state, _eager_of(assembly, state)


def _eager_of(assembly: Assembly, state: TrainState) -> EagerEngine:
    return EagerEngine(state, assembly.loader.batch, assembly.numerics)


def _begin(state: TrainState) -> None:
    """The ring's rows are reused: nobody reads them here."""
    state.window_start = state.step


def _rescli(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rescli", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"rescli {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def print_table(record: dict[str, Any]) -> None:
    def show(value: Any, path: str) -> None:
        if isinstance(value, dict) and set(value) >= {"contenders", "ratios"}:
            for name, row in value["contenders"].items():
                speed = row["images_per_second"]
                print(f"{path} {name}: {speed['median']:,.0f} img/s, first {row['first_step_seconds']} s")
            for name, ratio in value["ratios"].items():
                print(f"{path} {name}: {ratio['median']} [{ratio['q1']}, {ratio['q3']}]")
            print(f"{path}: {value['engine']}, {value['kernels_per_step']} kernels, {value['roofline']}")
            print(f"{path} failed: {value['failed']}")
        elif isinstance(value, dict):
            for key, inner in value.items():
                show(inner, f"{path} {key}".strip())
        else:
            print(f"{path}: {value:.4g}" if isinstance(value, float) else f"{path}: {value}")

    show(record["parts"], "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", action="append", help="a part, repeatable")
    parser.add_argument("--schedule-iterations", type=int, default=2000)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: there is nothing to measure here")
    NUMERICS.configure_backend()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        **{part.__name__: part for part in (floor, launch, conv, copy, norm, capture, resume, race)},
        "schedule": lambda: schedule(arguments.schedule_iterations),
    }
    record: dict[str, Any] = {
        "benchmark": "gpu_first",
        "date": now(),
        "command": " ".join(["python", *sys.argv]),
        "device": device_name(NUMERICS),
        "driver": _driver(),
        **provenance(),
        "parts": {},
        "seconds": {},
    }
    for name in arguments.only or parts:
        began = time.perf_counter()
        try:
            record["parts"][name] = parts[name]()
        except Exception as error:  # a part that fails says so, and the others are worth their time
            record["parts"][name] = {"failed": f"{type(error).__name__}: {error}"}
        record["seconds"][name] = round(time.perf_counter() - began, 1)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(record, indent=2) + "\n")
    print_table(record)


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
