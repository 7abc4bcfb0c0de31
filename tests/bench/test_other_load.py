"""What else ran, read off made ``/proc`` trees: ticks are hundredths of a second where tests run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rescli.bench.other_load import OtherLoadWatch

OWN, WORKER, LOADER, PYTHON, CC = 100, 101, 102, 7, 8


class Proc:
    """A made ``/proc``: times of processors and processes, which a test lets pass."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def processors(self, *rows: str) -> None:
        total = "cpu  1 2 3 4 5 6 7 8 0 0"
        lines = [f"cpu{number} {row}" for number, row in enumerate(rows)]
        (self.folder / "stat").write_text("\n".join([total, *lines, "intr 5 6 7", "ctxt 9"]) + "\n")

    def process(
        self,
        pid: int,
        name: str,
        ticks: int,
        *,
        parent: int = 1,
        reaped: int = 0,
        started: int = 5,
        core: int = 0,
    ) -> None:
        fields = [0] * 53
        fields[4], fields[14], fields[15] = parent, ticks - ticks // 4, ticks // 4
        fields[16], fields[17], fields[22], fields[39] = reaped, 0, started, core
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        (place / "stat").write_text(f"{pid} ({name}) S {' '.join(map(str, fields[4:]))}\n")

    def gone(self, pid: int) -> None:
        (self.folder / str(pid) / "stat").unlink()

    def watch(self, cores: set[int] | None = None) -> OtherLoadWatch:
        return OtherLoadWatch(proc=self.folder, own_pid=OWN, cores={0, 1} if cores is None else cores)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """Two processors, the benchmark with a worker, and another program."""
    made = Proc(tmp_path)
    made.processors("1000 0 0 500 0 0 0 10 0 0", "2000 0 0 700 0 0 0 20 0 0")
    made.process(OWN, "rescli", 300)
    made.process(WORKER, "python", 50, parent=OWN)
    made.process(PYTHON, "python", 5000)
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    return made


def test_what_others_used_is_what_is_left_beside_our_processes(proc: Proc) -> None:
    watch = proc.watch()
    watch.begin()
    # 1000 ticks each: busy 1000 and 900, idle 80 on the second, 20 stolen from it.
    proc.processors("1900 30 40 500 0 10 20 10 0 0", "2800 0 100 770 10 0 0 40 0 0")
    proc.process(OWN, "rescli", 310)
    proc.process(WORKER, "python", 940, parent=OWN)
    proc.process(PYTHON, "python", 5980)
    watch.sample()
    found = watch.result()
    assert found is not None
    assert found == {
        "cores": 2,
        "seconds": pytest.approx(1000 / os.sysconf("SC_CLK_TCK")),
        "others_percent": 50.0,  # (1900 - 10 - 890) / 2000
        "stolen_percent": 1.0,
        "programs": [{"name": "python", "cores": 0.98}],
    }


def test_children_of_workers_are_ours_whether_they_run_or_ended(proc: Proc) -> None:
    watch = proc.watch()
    watch.begin()
    proc.process(LOADER, "pt_data_worker", 100, parent=WORKER, started=9)
    watch.sample()
    proc.processors("1400 0 0 600 0 0 0 10 0 0", "2000 0 0 1200 0 0 0 20 0 0")
    proc.process(LOADER, "pt_data_worker", 150, parent=1, started=9)  # its parent ended before it
    proc.gone(WORKER)
    proc.process(OWN, "rescli", 300, reaped=50 + 250)  # the worker's time, now that it was waited for
    watch.sample()
    found = watch.result()
    assert found is not None
    assert (found["others_percent"], found["programs"]) == (0.0, [])


def test_the_busiest_three_are_named_and_processes_of_one_name_are_one(proc: Proc) -> None:
    watch = proc.watch()
    watch.begin()
    proc.processors("2000 0 0 500 0 0 0 10 0 0", "2000 0 0 1700 0 0 0 20 0 0")
    proc.process(PYTHON, "python", 5100)
    for number, (name, ticks) in enumerate([("cc1 (a b)", 250), ("cc1 (a b)", 250), ("ld", 120), ("sh", 90)]):
        proc.process(20 + number, name, ticks, started=50)
    proc.process(30, "elsewhere", 900, started=50, core=3)
    proc.process(31, "idle", 4, started=50)
    watch.sample()
    for number in range(4):
        proc.gone(20 + number)  # ended before the race did
    watch.sample()
    found = watch.result()
    assert found is not None
    assert found["programs"] == [
        {"name": "cc1 (a b)", "cores": 0.5},
        {"name": "ld", "cores": 0.12},
        {"name": "python", "cores": 0.1},
    ]


def test_only_processors_that_we_may_run_on_count(proc: Proc) -> None:
    watch = proc.watch({1})
    watch.begin()
    proc.processors("9000 0 0 500 0 0 0 10 0 0", "2000 0 0 1700 0 0 0 20 0 0")
    watch.sample()
    found = watch.result()
    assert found is not None
    assert (found["cores"], found["others_percent"]) == (1, 0.0)


def test_where_nothing_is_shown_nothing_is_said(proc: Proc, tmp_path: Path) -> None:
    for watch in (
        OtherLoadWatch(proc=tmp_path / "none", own_pid=OWN, cores={0}),
        proc.watch({0, 7}),  # processors of other numbers than ours
        proc.watch(set()),  # no affinity, as on macOS
        proc.watch(),  # times that stand still, as in some sandboxes
    ):
        assert watch.result() is None
        watch.begin()
        watch.sample()
        assert watch.result() is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_a_busy_program_of_this_machine_is_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            watch = OtherLoadWatch(own_pid=busy.pid)  # as if that were the benchmark, and this test beside it
            watch.begin()
            ends = time.process_time() + 0.3
            while time.process_time() < ends:
                pass
            watch.sample()
        finally:
            busy.kill()
    found = watch.result()
    assert found is not None
    assert found["others_percent"] > 0
    assert max(each["cores"] for each in found["programs"]) > 0.1
