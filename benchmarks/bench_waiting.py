"""How fast training is beside other busy processes, by how long OpenMP's threads spin before they sleep.

    python benchmarks/bench_waiting.py resnet-20 --precision bf16 --beside 1 --json waiting.json

Each way to wait has a process of its own, which trains in turn for a few seconds while the others sleep;
beside all of them run the busy processes of --beside. RESCLI_DATA says where CIFAR-10 lies. Calls with
the same --json are put together, a key for each network, precision and company.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

WATCHED, DEFAULT = "watched", "default"
WAYS = (DEFAULT, WATCHED, "0", "1000", "5000", "20000")
COMPANY = ("0", "1", "2", "compile", "training")
ISA = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "CC")
"""What imitates an older processor; noted, so that its figures are not taken for this processor's own."""

DISTURBED = 0.1
"""Cores that others may use while nobody is to be there; a round with more says nothing and is left out."""

_SPIN = "while True: pass"


def train_in_turns(net: str, precision: str, way: str) -> None:
    """The life of one process: train for as many seconds as each line says, and tell the speed."""
    import torch

    from rescli.bench.contenders import make_loop
    from rescli.hardware.numerics import Numerics
    from rescli.hardware.threads.processor_time import read_processor_time
    from rescli.hardware.threads.waiting import Watch
    from rescli.runs.assembly import assemble
    from rescli.runs.where import Where
    from rescli.spec.from_names import Choice, choose_spec

    never = [(key, 10**9) for key in ("iterations", "evaluation.every", "checkpoint.every")]
    _, spec = choose_spec(Choice(dataset="cifar10", model=net, batch_size=128, overrides=never))
    assembly = assemble(
        spec.resolved(None), Where(device="cpu"), numerics=Numerics(torch.device("cpu"), precision)
    )
    loop = make_loop("whole-loop", assembly)
    with ExitStack() as opened:
        watch = opened.enter_context(Watch()) if way == WATCHED else None
        loop.run(2)
        print(json.dumps({"kernels": assembly.kernels.name, "threads": torch.get_num_threads()}), flush=True)
        for line in sys.stdin:
            before, began = read_processor_time(), time.perf_counter()
            short = (watch.short_seconds or 0.0) if watch else 0.0
            images = 0
            while time.perf_counter() - began < float(line):
                images += loop.run(1)
            seconds = time.perf_counter() - began
            reading = read_processor_time()
            assert before is not None
            assert reading is not None
            seen = reading.since(before)
            told = {
                "speed": images / seconds,
                "cores": seen.computed,
                "others": seen.others or 0.0,
                # Looked at twice a second only.
                "short": min(1.0, ((watch.short_seconds or 0.0 if watch else 0.0) - short) / seconds),
            }
            print(json.dumps(told), flush=True)


@contextmanager
def company(kind: str) -> Iterator[None]:
    """Busy processes, while the block lasts."""
    with ExitStack() as opened:
        commands = [[sys.executable, "-c", _SPIN]] * int(kind) if kind.isdecimal() else []
        where = opened.enter_context(tempfile.TemporaryDirectory())
        if kind == "compile":
            source = Path(where) / "big.c"
            lines = (
                f"double f{n}(double x){{for(int i=0;i<{n};i++)x=x*x+{n};return x;}}" for n in range(4000)
            )
            source.write_text("\n".join(lines), encoding="utf-8")
            again = f"while true; do cc -O2 -c {source} -o {where}/big.o; done"
            commands = [["sh", "-c", again]]
        elif kind == "training":
            python = [sys.executable, "-m", "rescli", "train", "cifar10/resnet-20"]
            commands = [[*python, "--device", "cpu", "--out", f"{where}/run"]]
        for command in commands:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            opened.callback(process.wait)
            opened.callback(os.killpg, process.pid, 9)
        time.sleep(20 if kind == "training" else 0.5)
        yield


def environment(way: str) -> dict[str, str]:
    """Of a process that waits in this way."""
    others = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT",)}
    return {**others, "GOMP_SPINCOUNT": way} if way.isdecimal() else others


class Trained:
    """A process that trains when it is told to."""

    def __init__(self, net: str, precision: str, way: str) -> None:
        command = [sys.executable, __file__, net, "--precision", precision, "--serve", way]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(way)
        )

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def train(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def race(given: argparse.Namespace) -> dict[str, Any]:
    """Windows of all ways in turn: the speeds of each, and what it was trained with."""
    with ExitStack() as opened:
        processes: dict[str, Trained] = {}
        for way in given.ways:
            processes[way] = Trained(given.net, given.precision, way)
            opened.callback(processes[way].end)
        begun = {way: process.read() for way, process in processes.items()}
        windows: dict[str, list[dict[str, float]]] = {way: [] for way in given.ways}
        disturbed = 0
        with company(given.beside):
            for way, process in processes.items():
                # Not counted: all have just begun, and at once, which who watches takes for other programs.
                process.train(8.0 if way == WATCHED else 1.0)
            for number in range(given.rounds):
                # Every other round the other way about: what comes first pays for what was before.
                for way in given.ways if number % 2 == 0 else given.ways[::-1]:
                    windows[way].append(processes[way].train(given.seconds))
                if given.beside == "0" and any(found[-1]["others"] > DISTURBED for found in windows.values()):
                    print("disturbed", flush=True)
                    disturbed += 1
                    for found in windows.values():
                        found.pop()
                    continue
                last = {way: found[-1] for way, found in windows.items()}
                told = (f"{way} {one['speed']:.0f} ({one['short']:.0%} short)" for way, one in last.items())
                print(", ".join(told), flush=True)
    return {"begun": {**begun[given.ways[0]], "disturbed_rounds_left_out": disturbed}, "windows": windows}


def summary(found: list[dict[str, float]]) -> dict[str, Any]:
    """Median and quartiles of the speeds, the cores that it and others used, the share of short waiting."""
    speeds = [one["speed"] for one in found]
    q1, median, q3 = statistics.quantiles(speeds, n=4, method="inclusive")
    return {
        "images_per_second": {"median": round(median, 1), "q1": round(q1, 1), "q3": round(q3, 1)},
        "cores": round(statistics.median(one["cores"] for one in found), 2),
        "others": round(statistics.median(one["others"] for one in found), 2),
        "short": round(statistics.median(one["short"] for one in found), 2),
        "windows": [round(speed, 1) for speed in speeds],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--beside", choices=COMPANY, default="0")
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        train_in_turns(given.net, given.precision, given.serve)
        return
    import torch

    from rescli.hardware.device_name import device_name
    from rescli.hardware.numerics import Numerics
    from rescli.hardware.threads.cores import usable_cores
    from rescli.runs.record import now

    found = race(given)
    told = {
        "measured": now(),
        "n": len(found["windows"][given.ways[0]]),
        "seconds_each": given.seconds,
        "imitated": {key: os.environ[key] for key in ISA if key in os.environ},
        **found["begun"],
        "ways": {way: summary(windows) for way, windows in found["windows"].items()},
    }
    print(json.dumps(told, indent=2))
    if given.json is None:
        return
    whole = json.loads(given.json.read_text(encoding="utf-8")) if given.json.exists() else {}
    whole["what"] = "img/s of the whole training loop, batch 128, CIFAR-10, by how OpenMP's threads wait"
    whole["command"] = "python benchmarks/bench_waiting.py NET --precision P --beside WHAT --json FILE"
    whole["device"] = device_name(Numerics(torch.device("cpu"), given.precision))
    whole["cores"] = usable_cores()
    whole["versions"] = {"python": sys.version.split()[0], "torch": version("torch")}
    as_what = "avx2" if told["imitated"] else "native"
    whole.setdefault("measured", {})[f"{given.net} {given.precision} {as_what} beside {given.beside}"] = told
    given.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
