"""One contender in a process of its own, so that the settings of one change no other.

Standard input: the request, then ``{"warmup": M, "steps": N}`` lines and ``{"measure": true}``; standard
output: one JSON line for each. The module is run by ``rescli.bench.race``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import torch

from rescli.bench.ceilings import measure_ceilings
from rescli.bench.contenders import IdiomaticLoop, TimedLoop, make_loop
from rescli.bench.counts import count_operations, device_kernels
from rescli.bench.wire import LoopReady, Measured, WindowResult, WorkerRequest
from rescli.errors import RescliError, first_line
from rescli.hardware.numerics import Numerics, heed_quota
from rescli.hardware.threads.waiting import watching
from rescli.runs.assembly import assemble
from rescli.runs.record import peak_memory_bytes
from rescli.runs.where import Where
from rescli.spec.load import spec_from_dict

__all__: list[str] = []

_WARMUP_STEPS = 3

_OWN = ("bare-step", "whole-loop", "loader")
"""Contenders that are rescli's."""

_WATCHED = (*_OWN, "p4")
"""Contenders whose threads wait as those of a training do."""


def _serve(out: TextIO) -> None:
    request: WorkerRequest = json.loads(sys.stdin.readline())
    numerics = Numerics(torch.device(request["device"]), request["precision"])
    try:
        answer, loop = _ready(request, numerics)
    except (RescliError, RuntimeError, ImportError) as error:
        _say(out, {"failed": first_line(error)})
        return
    _say(out, answer)
    with watching(numerics.device, say=False) if request["contender"] in _WATCHED else nullcontext():
        _answer(out, request, numerics, loop)


def _answer(out: TextIO, request: WorkerRequest, numerics: Numerics, loop: TimedLoop) -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "measure" in asked:
            _say(out, _measured(request, numerics, loop))
            continue
        loop.run(asked["warmup"])
        _wait(numerics)
        began = time.perf_counter()
        images = loop.run(asked["steps"])
        _wait(numerics)
        seconds = time.perf_counter() - began
        memory = peak_memory_bytes(numerics)
        _say(out, {"images": images, "seconds": seconds, "peak_memory_bytes": memory})


def _ready(request: WorkerRequest, numerics: Numerics) -> tuple[LoopReady, TimedLoop]:
    """The contender's loop after its first steps, and what is known of it by then."""
    if request["threads"] is not None:
        torch.set_num_threads(request["threads"])
    elif numerics.device.type == "cpu":
        heed_quota()  # p1 as well: ratios are of the same number of threads
    spec = spec_from_dict(request["spec"])
    data_root = Path(request["data_root"]) if request["data_root"] is not None else None
    assembly = None
    if request["contender"] == "p1":
        # As its author would run it, with none of rescli's switches.
        if numerics.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # as akamaster's trainer has it
        idiomatic = IdiomaticLoop(
            spec, data_root=data_root, device=numerics.device, workers=request["workers"] or 0
        )
        loop = TimedLoop(idiomatic)
    else:
        where = Where(
            data_root=data_root,
            workers=request["workers"],
            engine=request["engine"],
            # The others have plain torch.
            kernels=request["kernels"] if request["contender"] in _OWN else "plain",
        )
        assembly = assemble(spec, where, numerics=numerics)
        loop = make_loop(request["contender"], assembly)
    loop.run(1)
    _wait(numerics)
    answer: LoopReady = {
        "first_step_seconds": time.time() - request["launched"],
        "engine": loop.engine,
        "threads": torch.get_num_threads(),
    }
    began = time.perf_counter()
    loop.run(_WARMUP_STEPS)
    _wait(numerics)
    answer["step_seconds"] = (time.perf_counter() - began) / _WARMUP_STEPS
    answer["kernels"] = assembly.kernels.name if assembly is not None else None
    return answer, loop


def _measured(request: WorkerRequest, numerics: Numerics, loop: TimedLoop) -> Measured:
    """What the whole loop's step launches, and what the device could do; nothing of the others."""
    if request["contender"] != "whole-loop":
        return {}
    data_root = Path(request["data_root"]) if request["data_root"] is not None else None
    # With plain torch between convolutions: a kernel of Triton is no operation of torch.
    where = Where(data_root=data_root, workers=0, kernels="plain")
    plain = assemble(spec_from_dict(request["spec"]), where, numerics=numerics)
    return {
        "operations_per_step": count_operations(plain),
        "kernels_per_step": device_kernels(loop.run, numerics),
        "ceilings": measure_ceilings(numerics),
    }


def _wait(numerics: Numerics) -> None:
    if numerics.device.type == "cuda":
        torch.cuda.synchronize(numerics.device)
    elif numerics.device.type == "mps":
        torch.mps.synchronize()


def _say(out: TextIO, answer: LoopReady | WindowResult | Measured) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


if __name__ == "__main__":
    # Whatever a library prints goes to stderr; stdout is the wire.
    _wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _serve(_wire)
