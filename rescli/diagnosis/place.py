"""Where runs are to lie: whether one can write there, how fast, and whether locks hold."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rescli.diagnosis.findings import Fact, Finding, Part, size
from rescli.errors import RescliError, first_line
from rescli.files import cache_dir, write_atomically
from rescli.foreign_text import readable
from rescli.hardware.disk.file_lock import held_alone, stand_in_of
from rescli.hardware.disk.file_system import FileSystem, file_system_of
from rescli.remedy import Remedy

__all__ = ["look_at_place", "look_at_working_folders", "why_not_writable"]

_LITTLE, _TOO_LITTLE = 1e9, 5e7
"""Bytes. States and checkpoints of ResNet-20 take 5 MB, of ResNet-110 some 30, of ResNet-152 over 1 GB."""
_CHUNK, _MOST = 2**20, 32
_WRITE_SECONDS = 0.4
_SLOW_SAVE, _SLOW_BYTES = 0.1, 20e6
_CHILD_SECONDS = 10

_ANOTHER = Remedy("out", "DIR", "choose another")

_TRY_LOCK = """
import errno, fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as error:
    print("held" if error.errno == errno.EWOULDBLOCK else "none " + str(error.strerror))
else:
    print("got")
"""


def look_at_place(wanted: Path) -> Part:
    """Write there, lock there in two processes, and take away what was made.

    Args:
        wanted: where runs are to lie; where it does not exist, the folder above that does is looked at.
    """
    folder = _existing(wanted)
    facts: dict[str, Fact] = {"path": str(folder)}
    said = f"{readable(str(folder))}"
    if not os.path.isdir(folder):
        text = f"{said} is no folder: no run can lie there"
        return Part("run directory", (Finding("problem", text, remedies=(_ANOTHER,)),), facts)
    system = file_system_of(folder)
    free, findings = _space(folder, system, facts)
    if findings[0].level == "problem":
        facts["writable"] = False
        return Part("run directory", tuple(findings), facts)
    try:
        with _own_folder(folder) as probe:
            findings += _write(probe, free, facts)
            findings += _lock(probe, system, facts)
    except (OSError, RescliError) as error:
        met = error if isinstance(error, OSError) else error.__cause__
        reason = (met.strerror if isinstance(met, OSError) else None) or str(error)
        facts["writable"] = False
        findings.append(
            Finding("problem", f"cannot write in {said}: {readable(reason)}", remedies=(_ANOTHER,))
        )
    else:
        facts["writable"] = True
    return Part("run directory", tuple(findings), facts)


def look_at_working_folders() -> Part:
    """The folder for temporary files, and the cache: of what is copied or compiled."""
    findings: list[Finding] = []
    facts: dict[str, Fact] = {}
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError as error:
        facts["temporary"] = None
        findings.append(
            Finding(
                "note",
                f"no folder for temporary files can be written ({readable(str(error))}): kernels are not "
                "compiled, and exports and some exact checks fail",
                hint="make room in it, or name another by TMPDIR",
            )
        )
    else:
        given = os.environ.get("TMPDIR")
        if given and not (os.path.isdir(given) and os.path.samefile(given, temporary)):
            findings.append(
                Finding(
                    "note",
                    f"TMPDIR={readable(given)} cannot be written ({why_not_writable(Path(given))}); a C "
                    "compiler does not go elsewhere: kernels that are not in the cache are not compiled",
                    hint="make room in it, or name another by TMPDIR",
                )
            )
        facts |= {"temporary": str(temporary), "temporary_free_bytes": _free(temporary)}
        obstacle = why_not_writable(temporary)
        if obstacle is None:
            findings.append(Finding("ok", f"temporary files: {_with_space(temporary)}"))
        else:
            findings.append(
                Finding(
                    "note",
                    f"temporary files: {temporary} cannot be written ({obstacle}): kernels that are not in "
                    "the cache are not compiled",
                    hint="make room in it, or name another by TMPDIR",
                )
            )
    try:
        cache = cache_dir()
    except RuntimeError as error:
        facts["cache"] = None
        findings.append(_no_cache(f"there is none ({readable(str(error))})"))
        return Part("working folders", tuple(findings), facts)
    facts |= {"cache": str(cache), "cache_free_bytes": _free(_existing(cache))}
    obstacle = why_not_writable(cache)
    facts["cache_writable"] = obstacle is None
    if obstacle is None:
        findings.append(Finding("ok", f"cache: {_with_space(cache)}"))
    else:
        findings.append(_no_cache(f"{readable(str(cache))} cannot be written ({obstacle})"))
    return Part("working folders", tuple(findings), facts)


def _no_cache(reason: str) -> Finding:
    return Finding(
        "note",
        f"cache: {reason}; nothing is kept, and what is compiled or computed for it is made anew each time",
        hint="name a folder that can be written by XDG_CACHE_HOME",
    )


def _space(folder: Path, system: FileSystem | None, facts: dict[str, Fact]) -> tuple[int, list[Finding]]:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    kind = system.kind if system is not None else None
    facts |= {
        "file_system": kind,
        "free_bytes": free,
        "is_network": system.is_network if system is not None else None,
    }
    text = f"{readable(str(folder))}: {size(free)} free, file system {kind or 'unknown'}"
    hint = "delete what is not needed there, or choose another place"
    if free < _TOO_LITTLE:
        return free, [Finding("problem", f"{text}: too little for a run", hint=hint)]
    if found.f_files and not found.f_favail:
        return free, [Finding("problem", f"{text}, but no new file can be made (no inodes)", hint=hint)]
    if free < _LITTLE:
        return free, [Finding("note", f"{text}: enough for small nets", hint=hint)]
    return free, [Finding("ok", text)]


def _write(probe: Path, free: int, facts: dict[str, Fact]) -> list[Finding]:
    times = []
    for number in range(3):
        began = time.perf_counter()
        write_atomically(probe / f"small-{number}", b"\0" * 4096)
        times.append(time.perf_counter() - began)
        if sum(times) > _WRITE_SECONDS:
            break
    save = statistics.median(times)
    chunk, began, written = os.urandom(_CHUNK), time.perf_counter(), 0
    with open(probe / "large", "wb") as file:
        while written < _MOST and (written + 2) * _CHUNK < free:
            file.write(chunk)
            written += 1
            if time.perf_counter() - began > _WRITE_SECONDS:
                break
        file.flush()
        os.fsync(file.fileno())
    speed = written * _CHUNK / max(time.perf_counter() - began, 1e-9)
    facts |= {"save_seconds": round(save, 5), "write_bytes_per_second": round(speed)}
    text = (
        f"writes {size(speed)}/s with fsync ({written} MiB tried); a small file is safe after "
        f"{save * 1e3:.1f} ms"
    )
    if save > _SLOW_SAVE or speed < _SLOW_BYTES:
        hint = "a local disk is faster; states are written beside the training, seldom ones cost it little"
        often = (Remedy("checkpoint.every", "N", "for a training: saves more seldom"),)
        return [Finding("note", f"{text}: slow", hint=hint, remedies=often)]
    return [Finding("ok", text)]


def _lock(probe: Path, system: FileSystem | None, facts: dict[str, Fact]) -> list[Finding]:
    lock = probe / ".lock"
    try:
        with held_alone(lock):
            stands_in = stand_in_of(lock).exists()
            while_held = _of_another_process(lock)
        after = _of_another_process(lock)
    except subprocess.SubprocessError as error:
        facts["locks"] = None
        return [Finding("note", f"locks could not be tried: {first_line(error)}")]
    works = while_held == "held" and after == "got"
    facts |= {"locks": works or stands_in, "locks_stood_in": stands_in}
    if stands_in:
        text = f"no locks on this file system ({while_held.removeprefix('none ')}): a file stands in for one"
        hint = "do not train one run from two machines; after a crash of the machine the file may have to go"
        return [Finding("note", text, hint=hint)]
    if not works:
        text = (
            f"locks do not hold here: another process was answered {while_held!r} while this one held the "
            f"lock, and {after!r} after; two processes could write one run"
        )
        return [Finding("problem", text, remedies=(_ANOTHER,))]
    text = "locks hold between two processes of this machine"
    if system is not None and system.is_network:
        hint = "do not train one run from two machines at once"
        return [Finding("note", f"{text}; {system.kind} may not lock between machines", hint=hint)]
    return [Finding("ok", text)]


def _of_another_process(lock: Path) -> str:
    """What it is told when it asks for the lock: held, got, or that there is none.

    Raises:
        SubprocessError: it cannot be begun, or hangs.
    """
    command = [sys.executable, "-I", "-S", "-c", _TRY_LOCK, str(lock)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
    except OSError as error:  # which is not one of the file system that is tried
        raise subprocess.SubprocessError(f"no other process can be begun ({error.strerror})") from error
    return done.stdout.strip() or (done.stderr.strip().splitlines() or ["nothing"])[-1]


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix=".rescli-doctor-", dir=folder, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def why_not_writable(folder: Path) -> str | None:
    """What the system answers to a small file there, or in the nearest folder above; None where it fits."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"\0" * 65536)
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _existing(path: Path) -> Path:
    """The path, or the nearest above it that is there."""
    whole = Path(os.path.abspath(os.path.expanduser(path)))
    return next((one for one in (whole, *whole.parents) if os.path.lexists(one)), whole)


def _with_space(path: Path) -> str:
    free = _free(_existing(path))
    return f"{readable(str(path))}" + (f", {size(free)} free" if free is not None else "")


def _free(folder: Path) -> int | None:
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
    return None
