"""Two trainings of one thread each at the same time, against one training of two threads.

    python benchmarks/bench_jobs.py SCRATCH_DIR --depth 20 --precision bf16 --json FILE
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 CC="cc -mno-avx512f" \\
        python benchmarks/bench_jobs.py SCRATCH_DIR --depth 20 --precision fp32 --json FILE

Real processes of ``rescli train`` on CIFAR-10 (in RESCLI_DATA), begun once and then stopped (SIGSTOP). In
each round the pair goes on for some seconds (SIGCONT) and is stopped again, and then the one, or the other
way round. Both of a pair therefore run through the whole of their window, and whoever is not timed waits
without a thread that spins. A row of metrics.jsonl is written at every iteration (``metrics.every=1``), and
speeds are those of the rows of a window, but for its first, which began before the processes were stopped:
the time of the training loop, in which nothing is evaluated or saved. POSIX only.

Rounds in which other programs took more than 5 % of the processors in either window are given apart.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from rescli.bench.other_load import OtherLoadWatch
from rescli.bench.summary import spread
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.hardware.threads.cores import usable_cores
from rescli.runs.record import now, provenance

CHOSEN_BY_ENVIRONMENT = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "CC")
"""What imitates a lesser processor, and is kept with the figures."""

MOST_OTHERS_PERCENT = 5.0
"""What others may take of the processors' time in a window of a quiet round."""

WARM_UP = 4
"""Iterations before the first window."""


class Run:
    """A training in a process of its own, which can be stopped and go on.

    Args:
        folder: its run directory, and what it says beside it.
        train: arguments of ``rescli train``.
    """

    def __init__(self, folder: Path, train: list[str]) -> None:
        self.folder = folder
        self._said = folder.with_suffix(".said")
        command = [sys.executable, "-m", "rescli", "train", *train, "--out", str(folder)]
        with open(self._said, "wb") as both:
            self._process = subprocess.Popen(command, stdout=both, stderr=both, start_new_session=True)

    def rows(self) -> list[dict[str, Any]]:
        """Of metrics.jsonl: those that are whole."""
        try:
            lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for(self, iterations: int) -> None:
        """Until it has done so many."""
        while len(self.rows()) < iterations:
            self.check()
            time.sleep(0.05)

    def check(self) -> None:
        """It still trains; otherwise say what it said."""
        if self._process.poll() is not None:
            raise SystemExit(self._said.read_text(encoding="utf-8"))

    def tell(self, what: signal.Signals) -> None:
        """Send a signal to it and its threads."""
        os.killpg(self._process.pid, what)

    def end(self) -> None:
        if self._process.poll() is None:
            self.tell(signal.SIGKILL)
        self._process.wait()

    def record(self) -> dict[str, Any]:
        """What it says of itself."""
        kept = ("device", "precision", "threads", "engine", "kernels", "convolutions")
        record = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        return {name: record.get(name) for name in kept}


def window(runs: list[Run], seconds: float) -> dict[str, Any]:
    """Let them go on at the same time: images a second and iterations of each, and what else ran."""
    before = [len(run.rows()) for run in runs]
    watch = OtherLoadWatch()
    watch.begin()
    for run in runs:
        run.tell(signal.SIGCONT)
    time.sleep(seconds)
    after = [run.rows() for run in runs]
    for run in runs:
        run.tell(signal.SIGSTOP)
    watch.sample()
    speeds, iterations = [], []
    for run, seen, rows in zip(runs, before, after, strict=True):
        run.check()
        timed = rows[seen:]
        if len(timed) < 2:
            raise SystemExit(f"only {len(timed)} iterations in {seconds:g} s: give more --seconds")
        took = timed[-1]["train_seconds"] - timed[0]["train_seconds"]
        speeds.append(round(sum(row["num_images"] for row in timed[1:]) / took, 1))
        iterations.append(len(timed) - 1)
    return {"images_per_second": speeds, "iterations": iterations, "other_load": watch.result()}


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Medians and quartiles of some rounds, ratios within a round."""
    if len(rounds) < 2:
        return {"rounds": len(rounds)}
    pair, one = ([sum(each[name]["images_per_second"]) for each in rounds] for name in ("pair", "one"))
    return {
        "rounds": len(rounds),
        "iterations": {name: sum(sum(each[name]["iterations"]) for each in rounds) for name in rounds[0]},
        "images_per_second": {
            "two runs of one thread, together": spread(pair, 1),
            "one run of two threads": spread(one, 1),
        },
        "two_runs_to_one": spread([both / alone for both, alone in zip(pair, one, strict=True)], 3),
    }


def quiet(one: dict[str, dict[str, Any]]) -> bool:
    """Others took little in both windows of a round; where the system does not say, that is believed."""
    loads = [side["other_load"] for side in one.values()]
    return all(load is None or load["others_percent"] <= MOST_OTHERS_PERCENT for load in loads)


def race(given: argparse.Namespace) -> dict[str, Any]:
    """The windows of all rounds, and what they come to."""
    train = [
        *("--dataset", "cifar10", "--depth", str(given.depth), "--batch-size", str(given.batch_size)),
        *("--device", "cpu", "--precision", given.precision, "--quiet", "--set", "metrics.every=1"),
        *("--iterations", "64000", "--set", "evaluation.every=64000", "--set", "checkpoint.every=64000"),
    ]
    scratch = given.scratch.resolve() / f"jobs{time.time_ns()}"
    scratch.mkdir(parents=True)
    runs: list[Run] = []
    rounds: list[dict[str, dict[str, Any]]] = []

    def begun(names: str, threads: int) -> list[Run]:
        some = [Run(scratch / name, [*train, "--threads", str(threads)]) for name in names]
        runs.extend(some)
        for run in some:
            run.wait_for(WARM_UP)
        for run in some:
            run.tell(signal.SIGSTOP)
        return some

    try:
        sides = {"pair": begun("ab", 1), "one": begun("c", 2)}
        for number in range(given.rounds):
            order = sides if number % 2 else reversed(sides)
            rounds.append({name: window(sides[name], given.seconds) for name in order})
            print(number, rounds[-1], flush=True)
        records = {name: side[0].record() for name, side in sides.items()}
    finally:
        for run in runs:
            run.end()
    return {
        "measured": now(),
        "model": f"resnet-{given.depth}",
        "dataset": "cifar10",
        "batch_size": given.batch_size,
        "precision": given.precision,
        "environment": {name: os.environ[name] for name in CHOSEN_BY_ENVIRONMENT if name in os.environ},
        "command": " ".join(["python", "benchmarks/bench_jobs.py", "SCRATCH_DIR", *_flags(given)]),
        "seconds_per_window": given.seconds,
        "runs": records,
        "quiet_rounds": summary([one for one in rounds if quiet(one)]),
        "disturbed_rounds": summary([one for one in rounds if not quiet(one)]),
        "every_round": rounds,
    }


def _flags(given: argparse.Namespace) -> list[str]:
    names = ("depth", "precision", "batch_size", "rounds", "seconds")
    return [word for name in names for word in (f"--{name.replace('_', '-')}", str(getattr(given, name)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a window")
    parser.add_argument("--json", type=Path, help="the case is added to those that it holds")
    given = parser.parse_args()
    case = race(given)
    print(json.dumps(case, indent=2))
    if given.json is not None:
        told: dict[str, Any] = {"cases": []}
        if given.json.is_file():
            told = json.loads(given.json.read_text(encoding="utf-8"))
        cases = [*told["cases"], case]
        told = {
            "what": "images a second of two trainings of one thread at the same time, and of one of two",
            "device": device_name(Numerics(torch.device("cpu"), "fp32")),
            "cores": usable_cores(),
            **provenance(),
            "cases": cases,
        }
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
