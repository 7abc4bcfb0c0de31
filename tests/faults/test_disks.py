"""A disk that fails: from the k-th operation on, a real file system that is full, a folder that goes."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from trials.aftermath import require_same_end, require_unharmed
from trials.case import Case, faults
from trials.jobs import Job, Workplace, by_name
from trials.left import differences, left_in
from trials.process import Ended

ROUND = (
    *("import", "train", "data pack", "predict", "data prepare", "data tidy", "eval", "train photographs"),
    *("reproduce", "train", "analyze", "export safetensors", "train", "data prepare", "train photographs"),
    *("compare", "export onnx", "data pack", "train", "export huggingface"),
)
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "ENOENT", "EACCES")


def job_of(case: Case) -> Job:
    return by_name(ROUND[case.number % len(ROUND)])


def require_said(case: Case, job: Job, ended: Ended, *numbers: int) -> None:
    """An error with its reason and a documented code; no progress that ends in silence."""
    ended.require(case, *job.on_disk)
    said = ended.err.lower()
    if "error:" not in said:
        raise case.fails("wrong exit", f"exit {ended.code} without an error: {ended.err[-2000:]}")
    raw = re.search(r"error: \w+(Error|Exception): .*", ended.err)
    if raw is not None:
        raise case.fails("wrong exit", f"nobody put this into words: {raw[0]}")
    reasons = [os.strerror(number).lower() for number in numbers]
    if reasons and not any(reason in said for reason in reasons):
        raise case.fails("wrong exit", f"none of {reasons} in {ended.err[-2000:]}")


@faults(short=3, long=90)
def test_disk_that_fails(case: Case, workplace: Workplace) -> None:
    if workplace.forked.injector is None:
        pytest.skip("there is no C compiler")
    job, error = job_of(case), case.dice.choice(ERRORS)
    whole, place = workplace.undisturbed(job), workplace.place(job)
    kth = case.dice.randint(1, whole.operations)
    under = place if case.number % 4 != 3 else place / "cache"
    case.tries(f"disk: {job.name}", f"{error} from operation {kth} on, {under.name}")
    try:
        ended = workplace.run(job, place, fault={"at": kth, "do": error, "under": str(under)})
        if under != place:
            ended.require(case, 0)  # it holds copies only
        if ended.code != 0:
            require_said(case, job, ended, getattr(errno, error))
        else:
            require_all_written(case, workplace, job, ended, place)
        require_unharmed(case, workplace, job, place)
        require_same_end(case, workplace, job, place)
    finally:
        workplace.clear(place)


def require_all_written(case: Case, workplace: Workplace, job: Job, ended: Ended, place: Path) -> None:
    """It says that all is well: then all must be there but what is a copy or a drawing that it gave up."""
    ended.require(case, 0)
    found = differences(left_in(place), workplace.undisturbed(job).left)
    lost = [text for text in found if not text.startswith(("left over", "missing: cache/"))]
    if lost:
        raise case.fails("unnoticed", f"exit 0, but {lost}\n{ended.err[-2000:]}")


@faults(short=1, long=40)
def test_full_file_system(case: Case, workplace: Workplace) -> None:
    """The outputs lie on a file system of their own, of too few bytes or turned read-only."""
    forked = workplace.forked
    if not forked.has_mounts:
        pytest.skip("file systems can be mounted by root alone, and not in every container")
    job = job_of(case)
    whole, place = workplace.undisturbed(job), workplace.place(job)
    inputs = sum(path.stat().st_size + 4096 for path in place.rglob("*") if not path.is_symlink())
    ways = ("small", "small", "small", "filled in the middle", "read-only", "read-only in the middle")
    way = case.dice.choice(ways)
    room = inputs + case.dice.randint(0, 600) * 1024 if way == "small" else inputs + (64 << 20)
    case.tries(f"file system: {job.name}", f"{way}, {room} bytes for {inputs} of inputs")
    here, kept = forked.inside(place), place.with_name("kept")
    shutil.copytree(place, kept, symlinks=True)
    assert forked.mount(place, f"size={room}") == 0
    try:
        shutil.copytree(kept, here, symlinks=True, dirs_exist_ok=True)
        if way == "read-only":
            assert forked.mount(place, "remount,ro") == 0
        running = workplace.start(job, place)
        if way == "filled in the middle":
            time.sleep(case.dice.uniform(0, whole.seconds))
            fill(here / "ballast")
        elif way == "read-only in the middle":
            time.sleep(case.dice.uniform(0, whole.seconds))
            # The kernel refuses while a file is open to be written, as some are all the time.
            while forked.mount(place, "remount,ro") == errno.EBUSY and not running.has_ended:
                time.sleep(0.001)
        ended = running.wait()
        if ended.code != 0:
            require_said(case, job, ended, errno.EROFS if way.startswith("read-only") else errno.ENOSPC)
        assert forked.mount(place, f"remount,rw,size={1 << 30}") == 0
        (here / "ballast").unlink(missing_ok=True)
        require_unharmed(case, workplace, job, place, seen=here)
        require_same_end(case, workplace, job, place, seen=here)
    finally:
        forked.mount(place, None)
        workplace.clear(place)


def fill(path: Path) -> None:
    """As somebody else who writes into the same file system."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as ballast:
        while ballast.write(bytes(1 << 20)):
            pass


@faults(short=1, long=40)
def test_folder_that_goes(case: Case, workplace: Workplace) -> None:
    """Removed, renamed, or a file in its stead while the command works in it."""
    job = job_of(case)
    whole, place = workplace.undisturbed(job), workplace.place(job)
    way = case.dice.choice(("removed", "renamed", "a file in its stead", "not writable"))
    moment = case.dice.uniform(0, whole.seconds)
    case.tries(f"folder that goes: {job.name}", f"{way} after {moment / whole.seconds:.0%} of the time")
    outer = place.parent
    try:
        running = workplace.start(job, place, env={"XDG_CACHE_HOME": str(outer / "cache")})
        time.sleep(moment)
        gone = outer / "gone"
        try:
            place.rename(gone)
            if way == "removed":
                shutil.rmtree(gone, ignore_errors=True)
            elif way == "a file in its stead":
                place.write_text("not a folder")
            elif way == "not writable":
                gone.rename(place)
                place.chmod(0o555)
        except FileNotFoundError:
            pass
        ended = running.wait()
        if ended.code != 0:
            require_said(case, job, ended)
        # With the folder as it was before, all must be as if nothing had happened.
        if place.is_file():
            place.unlink()
        if gone.exists() and not place.exists():
            gone.rename(place)
        if way == "removed":
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(workplace.place(job), place, symlinks=True)
        place.chmod(0o755)
        require_unharmed(case, workplace, job, place)
        require_same_end(case, workplace, job, place)
    finally:
        workplace.clear(place)
