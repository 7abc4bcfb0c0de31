"""How long a command takes to begin: from pressing return to the first step of a training, or to an answer.

    python benchmarks/bench_start.py SCRATCH_DIR --json benchmarks/results/start.json
    python benchmarks/bench_start.py SCRATCH_DIR --against OLDER_CHECKOUT --imitate-avx2 --json SAME.json

Each command is a process of its own, begun as a shell begins it; what a training has written says when its
first step was done (``metrics.every=1``, and metrics.jsonl is looked at every 2 ms). ``cold`` is an empty
cache of rescli's own, so that the kernels are compiled, and ``warm`` is one that an earlier run has filled;
the system has the files in memory both times. Checkouts, cases and caches take turns. The parts are those of
further runs, in which the functions that make them note when they begin and end: some do so side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.hardware.threads.cores import usable_cores
from rescli.runs.record import now

ROOT = Path(__file__).resolve().parents[1]

TRAIN = ("train", "--device", "cpu", "--iterations", "1000", "--set", "metrics.every=1")
CASES = {
    "train quickstart": [*TRAIN, "quickstart"],
    "train cifar10/resnet-20": [*TRAIN, "cifar10/resnet-20"],
    "eval": ["eval", "--split", "val"],
    "predict": ["predict"],
}
CACHES = ("cold", "warm")

AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "CC": "cc -mno-avx512f",
}

_LOOK_SECONDS = 0.002

PARTS = {
    "precision: the probe of bf16": ("rescli.runs.assembly", "numerics_for"),
    "kernels: compiling and self-test": ("rescli.runs.assembly", "choose_kernels"),
    "images": ("rescli.runs.assembly", "read_images"),
    "loader": ("rescli.runs.assembly", "make_loader"),
    "network and optimizer": ("rescli.runs.assembly", "Assembly.new_state"),
    "record": ("rescli.runs.drive", "RunSaver"),
    "first step": ("rescli.training.engines.eager", "EagerEngine.advance"),
}
"""What is timed inside: the name of a part, and the function that makes it, as its caller knows it."""

PROBE = """
import builtins, importlib, json, os, sys, time
PARTS = json.loads(os.environ["RESCLI_BENCH_PARTS"])
with open("/proc/self/stat") as file:
    ticks = int(file.read().rsplit(")", 1)[1].split()[19])
began = ticks / os.sysconf("SC_CLK_TCK")
now = lambda: time.clock_gettime(time.CLOCK_BOOTTIME) - began
found = {"interpreter": [0, now()]}
def timed(name, where, what):
    *path, last = what.split(".")
    holder = importlib.import_module(where)
    for step in path:
        holder = getattr(holder, step)
    function = getattr(holder, last)
    def call(*given, **named):
        begin = now()
        try:
            return function(*given, **named)
        finally:
            found[name] = [begin, now()]
            if name == "first step":
                print("PARTS " + json.dumps(found), file=sys.stderr, flush=True)
                os._exit(0)
    setattr(holder, last, call)
real, depth = builtins.__import__, []
def watched(name, of=None, *rest, **named):
    first = name == "torch" and "import torch" not in found and not depth
    late = name == "rescli.workflows.train" and of and of.get("__name__", "").startswith("rescli.cli")
    if not (first or late):
        return real(name, of, *rest, **named)
    begin = now()
    if first:
        depth.append(name)
    try:
        return real(name, of, *rest, **named)
    finally:
        if first:
            depth.clear()
            found["import torch"] = [begin, now()]
        if late and "its modules and torch" not in found:
            found["its modules and torch"] = [begin, now()]
            for part, (where, what) in PARTS.items():
                timed(part, where, what)
builtins.__import__ = watched
from rescli.cli.app import main
found["import of the command line"] = [found["interpreter"][1], now()]
main()
"""


def environment(checkout: Path, cache: Path, imitated: bool) -> dict[str, str]:
    paths = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(cache)}
    return {**os.environ, **own, **(AVX2 if imitated else {})}


def begin(words: list[str], env: dict[str, str], cwd: Path, out: Path | None) -> dict[str, float]:
    """Seconds until something was said, and until the first step was done or the command ended."""
    command = [sys.executable, "-m", "rescli", *words, *(["--out", str(out)] if out else [])]
    said = out.with_suffix(".said") if out else cwd / "said"
    seconds: dict[str, float] = {}
    with open(said, "wb") as both:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=both, stderr=both, env=env, cwd=cwd) as process:

            def note(name: str, whether: Callable[[], bool]) -> None:
                if name not in seconds and whether():
                    seconds[name] = time.perf_counter() - began

            metrics = out / "metrics.jsonl" if out else None
            while process.poll() is None and "done" not in seconds:
                note("said", lambda: said.stat().st_size > 0)
                note("done", lambda: metrics is not None and metrics.is_file() and metrics.stat().st_size > 0)
                time.sleep(_LOOK_SECONDS)
            if metrics is None:
                seconds["done"] = time.perf_counter() - began
            process.kill()
    if "done" not in seconds or (metrics is None and process.returncode != 0):
        raise SystemExit(f"{' '.join(command)}\n{said.read_text()}")
    return seconds


def parts(words: list[str], env: dict[str, str], cwd: Path, out: Path) -> dict[str, float]:
    """Seconds of each part of a training until its first step, by a run of their own."""
    command = [sys.executable, "-c", PROBE, *words, "--out", str(out)]
    env = {**env, "RESCLI_BENCH_PARTS": json.dumps(PARTS)}
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)
    line = next((line for line in done.stderr.splitlines() if line.startswith("PARTS ")), None)
    if line is None:
        raise SystemExit(done.stderr)
    found = json.loads(line.removeprefix("PARTS "))
    before = found["its modules and torch"][0] - found["import of the command line"][1]
    told = {name: end - start for name, (start, end) in found.items()}
    told["options, spec and plan"] = before
    told["first step done"] = found["first step"][1]
    return told


def spread(values: list[float]) -> dict[str, object]:
    values = [round(value, 3) for value in values]
    return {
        "median": round(statistics.median(values), 3),
        "least": min(values),
        "most": max(values),
        "n": len(values),
    }


def summary(rounds: list[dict[str, float]]) -> dict[str, object]:
    return {name: spread([one[name] for one in rounds if name in one]) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=[*CASES])
    parser.add_argument("--against", type=Path, help="an older checkout, measured in turns")
    parser.add_argument("--imitate-avx2", action="store_true", help="torch and the compiler keep to AVX2")
    parser.add_argument("--no-parts", action="store_true")
    parser.add_argument("--json", type=Path, help="written anew; what it holds of other cases stays")
    given = parser.parse_args()
    scratch = given.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    checkouts = {"this": ROOT, **({"before": given.against.resolve()} if given.against else {})}
    caches = {(which, "warm"): scratch / f"warm-{which}" for which in checkouts}
    trained = scratch / "trained" / "checkpoints" / "last.safetensors"
    if not trained.is_file():
        command = [sys.executable, "-m", "rescli", "train", "quickstart", "--iterations", "30"]
        command += ["--device", "cpu", "--quiet", "--out", str(scratch / "trained")]
        subprocess.run(command, check=True, env=environment(ROOT, scratch / "any", False), cwd=scratch)
        Image.effect_noise((200, 160), 40).convert("RGB").save(scratch / "photo.jpg")
    arguments = {"eval": [str(trained)], "predict": [str(trained), str(scratch / "photo.jpg")]}

    number = 0

    def run(case: str, which: str, cache: str, timed: bool) -> dict[str, float]:
        nonlocal number
        number += 1
        out = scratch / f"run{time.time_ns()}"
        place = caches.get((which, cache)) or scratch / f"cold{time.time_ns()}-{number}"
        env = environment(checkouts[which], place, given.imitate_avx2)
        words = [*CASES[case], *arguments.get(case, [])]
        if timed:
            return parts(words, env, scratch, out)
        return begin(words, env, scratch, out if case.startswith("train") else None)

    seen: dict[tuple[str, str, str, bool], list[dict[str, float]]] = {}
    for case in given.cases:
        for which in checkouts:
            run(case, which, "warm", False)
    for turn in range(given.rounds):
        for case in given.cases:
            for cache in CACHES:
                for timed in (False, True):
                    if timed and (given.no_parts or not case.startswith("train")):
                        continue
                    for which in sorted(checkouts, reverse=bool(turn % 2)):
                        found = run(case, which, cache, timed)
                        seen.setdefault((case, which, cache, timed), []).append(found)
        print(f"round {turn + 1}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    kind = "imitated AVX2" if given.imitate_avx2 else "as it is"
    told = json.loads(given.json.read_text()) if given.json is not None and given.json.is_file() else {}
    told.update(
        what="seconds from the command's start: said is the first output, done the first step or the end",
        command="python benchmarks/bench_start.py SCRATCH_DIR --against OLDER_CHECKOUT",
        measured=now(),
        device=device_name(Numerics(torch.device("cpu"), "fp32")),
        cores=usable_cores(),
        versions={"python": platform.python_version(), "torch": torch.__version__},
    )
    place = told.setdefault("processor", {}).setdefault(kind, {"load_at_the_end": None})
    place["load_at_the_end"] = round(os.getloadavg()[0], 2)
    for (case, which, cache, timed), rounds in seen.items():
        name = "parts" if timed else "seconds"
        place.setdefault(case, {}).setdefault(cache, {}).setdefault(which, {})[name] = summary(rounds)
    print(json.dumps(told, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
