"""Clocks that jump, another user, another locale, an odd environment, small limits, a busy machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trials.aftermath import require_same_end, require_unharmed
from trials.case import Case, faults
from trials.jobs import JOBS, Workplace, by_name
from trials.left import differences, left_in
from trials.process import ForkServer

ROUND = (
    *("train", "import", "data pack", "train photographs", "predict", "eval", "data tidy", "data prepare"),
    *("train", "export huggingface", "reproduce", "analyze", "export safetensors", "export onnx", "compare"),
)
YEAR = 365 * 86400


@faults(short=1, long=30)
def test_clock(case: Case, workplace: Workplace) -> None:
    """The clock of the day jumps during the work, or the files are of another century."""
    if workplace.forked.injector is None:
        pytest.skip("there is no C compiler")
    job = by_name(ROUND[case.number % len(ROUND)])
    whole, place = workplace.undisturbed(job), workplace.place(job)
    jump = case.dice.choice((-3600, 3600, -60, YEAR, -YEAR, 80 * YEAR, -56 * YEAR, -3 * YEAR, 12 * YEAR))
    looks, of = (
        case.dice.randint(0, 60),
        case.dice.choice((None, 0, 1, 2**32 - 1, 2**32 + 10**6, 4 * 10**9, -1)),
    )
    case.tries(f"clock: {job.name}", f"{jump:+} s at its look {looks}, files of {of}")
    try:
        if of is not None:
            for path in place.rglob("*"):
                os.utime(path, (of, of), follow_symlinks=False)
        workplace.run(job, place, clock=(looks, jump)).require(case, 0)
        found = differences(left_in(place), whole.left)
        if found:
            raise case.fails("lost", str(found))
    finally:
        workplace.clear(place)


@pytest.fixture(scope="session")
def open_place(workplace: Workplace) -> Iterator[Workplace]:
    """A workplace that every user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="rescli-faults-"))
    folder.chmod(0o755)
    shutil.copytree(workplace.native, folder / "native")
    shutil.copy(workplace.net, folder / "net.safetensors")
    yield Workplace(workplace.forked, folder, folder / "net.safetensors", folder / "native")
    shutil.rmtree(folder)


NOBODY = 65534


@faults(short=1, long=30)
def test_user(case: Case, open_place: Workplace) -> None:
    """Somebody else's files, and masks that hide or show everything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    job = by_name(ROUND[(case.number + 1) % len(ROUND)])
    whole, place = open_place.undisturbed(job), open_place.place(job)
    ways = ("all is root's", "the folder is its own", "the cache is root's", "it cannot read")
    way = case.dice.choice((*ways, "few processes"))
    limits = {"RLIMIT_NPROC": case.dice.choice((0, 2, 8))} if way == "few processes" else {}
    umask = case.dice.choice((0o077, 0o000, 0o022, 0o777))
    case.tries(f"another user: {job.name}", f"{way}, umask {umask:03o}, {limits}")
    try:
        if way != "all is root's":
            for path in (place, *place.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        if way == "the cache is root's":
            os.chown(place / "cache" / "rescli", 0, 0)
            os.chown(place / "cache", 0, 0)
        if way == "it cannot read":
            chosen = case.dice.choice(sorted(p for p in place.rglob("*") if "cache" not in p.parts))
            chosen.chmod(0o000)
        home = {"HOME": "/nonexistent"}
        ended = open_place.run(job, place, user=NOBODY, umask=umask, env=home, limits=limits)
        if way == "the folder is its own" and umask != 0o777:
            ended.require(case, 0)
        ended.require(case, 0, 1, 2, 3, 4)
        if ended.code and "error:" not in ended.err.lower():
            raise case.fails("wrong exit", f"exit {ended.code} without an error: {ended.err[-2000:]}")
        if ended.code == 0:
            found = [d for d in differences(left_in(place), whole.left) if "cache/" not in d]
            # Images that cannot be read are missing: that was said.
            if found and way != "it cannot read":
                raise case.fails("lost", f"{found}\n{ended.err[-1000:]}")
        else:
            require_unharmed(case, open_place, job, place)
    finally:
        open_place.clear(place)


FOLDERS = ("", "/nonexistent/folder", "/dev/null", "relative", "~", "a\nb", "/proc", "\udcff", "x" * 300)
VARIABLES = {
    "RESCLI_DATA": FOLDERS,
    "HOME": (*FOLDERS, None),
    "XDG_CACHE_HOME": FOLDERS,
    "TMPDIR": FOLDERS,
    "OMP_NUM_THREADS": ("0", "-1", "x", "", "1000", "1,2", "99999999999999999999"),
    "MKL_NUM_THREADS": ("0", "x"),
    "CC": ("", "/nonexistent", "false", "cc -mno-such-flag", "true"),
    "RANK": ("", "x", "-1", "1.5", "99"),
    "WORLD_SIZE": ("", "x", "-1", "0", "1e9"),
    "LOCAL_RANK": ("", "x"),
    "MASTER_PORT": ("x", "0", "99999"),
    "COLUMNS": ("", "x", "0"),
    "SLURM_NTASKS": ("", "x", "-1"),
    "OMPI_COMM_WORLD_SIZE": ("", "x", "-1"),
    "MPLBACKEND": ("nonsense",),
    "PYTHONHASHSEED": ("x",),
    "CUDA_VISIBLE_DEVICES": ("x", "-1"),
    "SOURCE_DATE_EPOCH": ("x",),
}
LIMITS = {
    "RLIMIT_NOFILE": (8, 16, 24, 48, 100),
    "RLIMIT_FSIZE": (0, 1, 1000, 20_000, 200_000),
    "RLIMIT_STACK": (1 << 19, 1 << 20),
    "RLIMIT_CORE": (0,),
}


@faults(short=2, long=80)
def test_environment(case: Case, workplace: Workplace) -> None:
    """One variable or one limit; afterwards, without it, the command ends as ever."""
    job = by_name(ROUND[case.number % len(ROUND)])
    options: dict[str, Any]
    if case.dice.random() < 0.65:
        name = case.dice.choice(sorted(VARIABLES))
        value = case.dice.choice(VARIABLES[name])
        case.tries(f"environment: {job.name}", f"{name}={value!r:.40}")
        options = {"env": {name: value}}
    elif case.dice.random() < 0.5:
        name = case.dice.choice(sorted(LIMITS))
        limit = case.dice.choice(LIMITS[name])
        case.tries(f"environment: {job.name}", f"{name} {limit}")
        options = {"limits": {name: limit}}
    else:
        more = case.dice.randint(0, 600) << 20
        case.tries(f"environment: {job.name}", f"ulimit -v, {more >> 20} MB more than at the beginning")
        options = {"limits": {"RLIMIT_AS": workplace.forked.address_space() + more}}
    place = workplace.place(job)
    try:
        ended = workplace.run(job, place, seconds=90, **options)
        ended.require(case, 0, 1, 2, 3, 4)
        if ended.code and "rror" not in ended.err:
            raise case.fails("wrong exit", f"exit {ended.code} without an error: {ended.err[-2000:]}")
        require_unharmed(case, workplace, replace(job, whole=()) if ended.code == 0 else job, place)
        if ended.code:
            require_same_end(case, workplace, job, place)
    finally:
        workplace.clear(place)


@pytest.fixture(scope="session")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Processes for which text is ASCII."""
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    server = ForkServer(tmp_path_factory.mktemp("forked in C"), env)
    yield server
    server.close()


@faults(short=0, long=18)
def test_locale(case: Case, workplace: Workplace, in_c: ForkServer) -> None:
    """Text is ASCII, and the folder's name is not."""
    job = by_name(ROUND[case.number % len(ROUND)])
    whole = workplace.undisturbed(job)
    there = replace(workplace, forked=in_c)
    place = there.place(job)
    name = case.dice.choice(("here", "hér é", "日本", os.fsdecode(b"no \xff utf-8")))
    case.tries(f"locale: {job.name}", f"C, in {name!a}")
    try:
        moved = place.rename(place.with_name(name))
        there.run(job, moved).require(case, 0)
        found = differences(left_in(moved), whole.left)
        if found:
            raise case.fails("lost", str(found))
    finally:
        there.clear(place)


@faults(short=1, long=len(JOBS))
def test_under_load(case: Case, workplace: Workplace) -> None:
    """Beside processes that keep every core busy nothing changes but the time."""
    job = by_name(ROUND[case.number % len(ROUND)])
    whole, place = workplace.undisturbed(job), workplace.place(job)
    case.tries(f"busy machine: {job.name}", "two busy processes a core")
    busy = [
        subprocess.Popen([sys.executable, "-Sc", "while True: pass"])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        workplace.run(job, place).require(case, 0)
        found = differences(left_in(place), whole.left)
        if found:
            raise case.fails("lost", str(found))
    finally:
        for process in busy:
            process.kill()
            process.wait()
        workplace.clear(place)
