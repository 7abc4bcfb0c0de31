"""The first measurement on a GPU: what launches, kernels and memory of this card cost, then the whole step.

    PYTHONPATH=. python benchmarks/gpu_first.py --json benchmarks/results/gpu-first.json

Needs CIFAR-10 under RESCLI_DATA; embedded images serve where it is absent. Every part is tried; one that
fails is named and the rest goes on. Parts print as they end and the file is written after each, so nothing is
lost where the time runs out: about 8 minutes by estimate, the last parts being the longest (--only chooses).

floor, conv, copy, norm   see gpu_parts.py
launch     host time for each operation of an eager ResNet-20 step
capture    seconds to the first recorded step, memory, and 50 recorded steps against 50 eager ones, by depth
resume     whether a run that was killed ends with the bits of one that was not
schedule   seconds of 64,000 iterations, from --schedule-iterations through ``rescli train``
race       ``rescli bench`` at batch 128: p1, p2 and our own parts; ResNet-20, -56 and -110
compiled   the same of ResNet-20 with p3 and p4, which compile first
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_parts import BATCH, DEVICE, conv, copy, floor, norm

from rescli.bench.counts import OperationCounter
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.record import gpu_driver, now, provenance
from rescli.runs.where import Where
from rescli.spec.load import load_spec
from rescli.training.engines.eager import EagerEngine
from rescli.training.state import TrainState

NUMERICS = Numerics(DEVICE, "bf16")
CHILD_SECONDS = 240
"""After which a command of rescli is given up."""


def launch() -> dict[str, Any]:
    # With plain torch throughout: a kernel of Triton is no operation that could be counted.
    assembly = _assembly(20, kernels="plain")
    state = assembly.new_state()
    engine = EagerEngine(state, assembly.loader.batch, assembly.numerics)
    for _ in range(10):
        _advance(state, engine)
    with OperationCounter() as counter:
        _advance(state, engine)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(50):
        _advance(state, engine)
    host = time.perf_counter() - began
    torch.cuda.synchronize()
    whole = time.perf_counter() - began
    return {
        "operations": counter.count,
        "host us per operation": round(1e6 * host / 50 / counter.count, 2),
        "ms per step": round(1000 * whole / 50, 3),
        "n": 50,
    }


def capture() -> dict[str, Any]:
    nets = (("resnet", 20), ("plain", 56), ("resnet", 110), ("resnet", 1202))
    return {f"{kind}-{depth}": _tried(lambda k=kind, d=depth: _captured(k, d)) for kind, depth in nets}  # type: ignore[misc]


def _captured(kind: str, depth: int) -> dict[str, Any]:
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    assembly = _assembly(depth, kind, engine="graph")
    ends = []
    for chosen in ("graph", "eager")[: 2 if depth <= 110 else 1]:
        state = assembly.new_state()
        engine = (
            assembly.choose_engine(state).engine
            if chosen == "graph"
            else EagerEngine(state, assembly.loader.batch, assembly.numerics)
        )
        _advance(state, engine)
        torch.cuda.synchronize()
        if chosen == "graph":
            row: dict[str, Any] = {
                "kernels": assembly.kernels.name,
                "seconds to the first step": round(time.perf_counter() - began, 2),
                "peak GB": round(torch.cuda.max_memory_allocated() / 1e9, 2),
            }
        for _ in range(49):
            _advance(state, engine)
        ends.append([tensor.detach().double() for tensor in state.model.state_dict().values()])
        del engine, state
    if len(ends) == 2:
        largest = max(float((one - other).abs().max()) for one, other in zip(*ends, strict=True))
        row["largest difference after 50 steps"] = largest
    return row


def resume() -> dict[str, Any]:
    iterations = 20_000
    with tempfile.TemporaryDirectory() as folder:
        whole, parted = Path(folder) / "whole", Path(folder) / "parted"
        common = [
            *("train", _preset(), "--model", "resnet-20", "--batch-size", str(BATCH)),
            *("--set", "checkpoint.every=1000", "--iterations", str(iterations), "--quiet", "--json"),
        ]
        _rescli(*common, "--out", str(whole))
        with subprocess.Popen(_command(*common, "--out", str(parted)), stdout=subprocess.DEVNULL) as process:
            while not (parted / "state" / "latest.json").exists() and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        record = json.loads(_rescli("train", "--resume", str(parted), "--quiet", "--json"))
        last = Path("checkpoints") / "last.safetensors"
        return {
            "resumed at": record["resumed_at"],
            "was stopped in the middle": 0 < record["resumed_at"][-1] < iterations,
            "equal files": (whole / last).read_bytes() == (parted / last).read_bytes(),
        }


def schedule(iterations: int) -> dict[str, Any]:
    return {f"resnet-{depth}": _tried(lambda d=depth: _scheduled(d, iterations)) for depth in (20, 56, 110)}  # type: ignore[misc]


def _scheduled(depth: int, iterations: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        record = json.loads(
            _rescli(
                *("train", _preset(), "--model", f"resnet-{depth}", "--batch-size", str(BATCH)),
                *("--iterations", str(iterations), "--quiet", "--json", "--out", f"{folder}/run"),
            )
        )
    return {
        "seconds of 64000 iterations": round(record["train_seconds"] * 64000 / iterations, 1),
        "measured iterations": iterations,
        "engine": record["engine"],
        "kernels": record["kernels"],
        "peak GB": round(record["peak_memory_bytes"] / 1e9, 2),
    }


def race() -> dict[str, Any]:
    return {f"resnet-{depth}": _tried(lambda d=depth: _raced(d)) for depth in (20, 56, 110)}  # type: ignore[misc]


def compiled() -> dict[str, Any]:
    return {"resnet-20": _raced(20, "p2", "p3", "p4", "whole-loop")}


def _raced(depth: int, *contenders: str) -> dict[str, Any]:
    named = contenders or ("p1", "p2", "bare-step", "whole-loop", "loader")
    flags = [part for name in named for part in ("--contender", name)]
    dataset = "cifar10" if _has_cifar() else "shapes"
    record: dict[str, Any] = json.loads(
        _rescli(
            *("bench", f"resnet-{depth}", "--dataset", dataset, "--batch-size", str(BATCH)),
            *("--rounds", "5", "--window", "0.5", "--json", *flags),
        )
    )
    return record


def _tried(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """One that fails says so, and the others are worth their time."""
    try:
        return part()
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _has_cifar() -> bool:
    return bool(os.environ.get("RESCLI_DATA"))


def _preset() -> str:
    return "he2015/resnet-20" if _has_cifar() else "shapes/base"


def _assembly(depth: int, kind: str = "resnet", *, engine: str = "auto", kernels: str = "auto") -> Assembly:
    spec = load_spec("shapes/base", [("model", {"kind": kind, "depth": depth}), ("data.batch_size", BATCH)])
    return assemble(spec, Where(engine=engine, kernels=kernels), numerics=NUMERICS)


def _advance(state: TrainState, engine: Any) -> None:
    """One step whose figures nobody reads: the ring's first row is used again and again."""
    state.window_start = state.step
    engine.advance(0.1)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rescli", *arguments]


def _rescli(*arguments: str) -> str:
    done = subprocess.run(
        _command(*arguments), capture_output=True, text=True, check=False, timeout=CHILD_SECONDS
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"rescli {' '.join(arguments[:2])} ended with {done.returncode}: {last}")
    return done.stdout


def show(value: Any, path: str) -> None:
    """One line a figure."""
    if isinstance(value, dict) and {"contenders", "ratios"} <= set(value):
        for name, row in value["contenders"].items():
            speed = row["images_per_second"]
            print(f"{path} {name}: {speed['median']:,.0f} img/s [{speed['q1']:,.0f}, {speed['q3']:,.0f}]")
        for name, ratio in value["ratios"].items():
            print(f"{path} {name}: {ratio['median']} [{ratio['q1']}, {ratio['q3']}]")
        print(f"{path}: {value['engine']}, {value['kernels']}, {value['kernels_per_step']} kernels a step")
        for name, reason in value["failed"].items():
            print(f"{path} {name} failed: {reason}")
    elif isinstance(value, dict) and "median" in value:
        print(f"{path}: {value}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            show(inner, f"{path} {key}")
    else:
        print(f"{path}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", action="append", metavar="PART")
    parser.add_argument("--schedule-iterations", type=int, default=2000)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: there is nothing to measure here")
    NUMERICS.configure_backend()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        **{part.__name__: part for part in (floor, launch, conv, copy, norm, capture, resume)},
        "schedule": lambda: schedule(arguments.schedule_iterations),
        **{part.__name__: part for part in (race, compiled)},
    }
    if unknown := set(arguments.only or ()) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    record: dict[str, Any] = {
        "benchmark": "gpu_first",
        "date": now(),
        "command": " ".join(["python", *sys.argv]),
        "device": device_name(NUMERICS),
        "driver": gpu_driver(),
        **provenance(),
        "parts": {},
        "seconds": {},
    }
    for name in arguments.only or parts:
        began = time.perf_counter()
        record["parts"][name] = _tried(parts[name])
        record["seconds"][name] = round(time.perf_counter() - began, 1)
        if arguments.json is not None:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(record, indent=2) + "\n")
        show(record["parts"][name], name)
        print(f"({name}: {record['seconds'][name]} s)", flush=True)


if __name__ == "__main__":
    main()
