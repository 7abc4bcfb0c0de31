"""Processes that train a run directory: watched while they do, and killed at a moment of theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import rescli
from rescli.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    RescliError,
    RunDirError,
    UsageError,
    VerificationError,
)
from rescli.runs.directory import RunDir
from rescli.runs.resuming.state_pointer import saved_step
from rescli.workflows.trust.parent import ending_with_this
from rescli.workflows.trust.timeline import Moment, Training

__all__ = [
    "Child",
    "Launch",
    "TooSoon",
    "in_python",
    "patience_for",
    "resume_to_the_end",
    "train_and_kill",
    "train_whole",
]

_LOOK_SECONDS = 0.005
_LOCK_SECONDS = 10.0
"""How long processes of one that was killed may need to notice it and let go of the run."""
_SLOWER, _START_SECONDS = 10.0, 120.0
"""A resumed process that takes so many times as long as the whole run, and some time to begin, hangs."""


@dataclass(frozen=True)
class Child:
    """What a process is to do.

    Attributes:
        run_dir: where it trains; resumes, where there is no spec.
        spec: the file to train; None to resume.
        device: as its name; None for the run's own.
        data_root: where the images lie; None for where the run notes them, or the usual places.
    """

    run_dir: Path
    spec: Path | None = None
    device: str | None = None
    data_root: Path | None = None


Launch = Callable[[Child], Sequence[str]]
"""The argv of a process that does it."""


class TooSoon(Exception):
    """The process came to its end before the moment at which it was to be killed."""


_PROGRAM = """
import json, sys, rescli
given = json.loads(sys.argv[1])
try:
    rescli.train(**given) if "spec" in given else rescli.resume(**given)
except rescli.errors.RescliError as error:
    sys.stderr.write(f"error: {error}\\n")
    sys.exit(error.exit_code)
"""


def in_python(child: Child) -> Sequence[str]:
    """A process that calls ``rescli.train`` or ``rescli.resume``."""
    given: dict[str, object] = {"progress": False}
    if child.spec is None:
        given["run"] = str(child.run_dir)
    else:
        given |= {"spec": str(child.spec), "out": str(child.run_dir)}
    if child.device is not None:
        given["device"] = child.device
    if child.data_root is not None:
        given["data_root"] = str(child.data_root)
    return [sys.executable, "-c", _PROGRAM, json.dumps(given)]


def train_whole(argv: Sequence[str], run_dir: RunDir) -> Training:
    """Train to the end, and note when which state was saved.

    Raises:
        RescliError: what the process said when it failed, as the error of its exit code.
    """
    marks: list[tuple[int, float]] = []
    began = time.monotonic()
    with _started(argv, run_dir) as process:
        watch = _Watch(run_dir)
        while process.poll() is None:
            if (step := watch.look()) is not None:
                marks.append((step, time.monotonic()))
            time.sleep(_LOOK_SECONDS)
        ended = time.monotonic()
        if process.returncode != 0:
            raise _as_error(process)
    first = marks[0][1] if marks else ended
    shifted = tuple((step, at - first) for step, at in marks) or ((0, 0.0),)
    return Training(shifted, ended - began, ended - first)


def train_and_kill(argv: Sequence[str], run_dir: RunDir, moment: Moment, patience: float) -> Moment:
    """Train until a moment, and kill the process.

    Args:
        argv: of the process.
        run_dir: where it trains.
        moment: when to kill it; its ``step`` is passed where a later state is saved already.
        patience: seconds that the process may take in all.

    Returns:
        When it was killed: how long after which state was saved, or went on from.

    Raises:
        TooSoon: the process came to its end before.
        VerificationError: it failed, or it hangs.
    """
    deadline = time.monotonic() + patience
    with _started(argv, run_dir) as process:
        watch = _Watch(run_dir)
        reached: float | None = None
        newest = time.monotonic()
        while reached is None or time.monotonic() < reached + moment.seconds:
            if process.poll() is not None:
                if process.returncode == 0:
                    raise TooSoon
                raise _failed_to_resume(process)
            if time.monotonic() > deadline:
                raise VerificationError(
                    f"a process that was to train {run_dir.path} hangs.",
                    page="verify-resume-found-a-difference",
                )
            if (step := watch.look()) is not None:
                newest = time.monotonic()
            if reached is None and step is not None and (moment.step is None or step >= moment.step):
                reached = time.monotonic()
            time.sleep(_LOOK_SECONDS)
        process.send_signal(signal.SIGKILL)  # it alone: those that decode for it must notice by themselves
        seconds = time.monotonic() - newest
        process.wait()
        if process.returncode == 0:
            raise TooSoon
        _wait_until_free(run_dir)
    return Moment(saved_step(run_dir), seconds)


def resume_to_the_end(argv: Sequence[str], run_dir: RunDir, patience: float) -> None:
    """Go on to the end.

    Raises:
        VerificationError: the process failed, or it hangs.
    """
    with _started(argv, run_dir) as process:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise VerificationError(
                f"resumed, the copy did not end within {patience:.0f} s.",
                page="verify-resume-found-a-difference",
            ) from error
        if process.returncode != 0:
            raise _failed_to_resume(process)


def patience_for(whole: Training) -> float:
    """Seconds after which a process hangs, by how long the whole run took."""
    return _SLOWER * whole.seconds + _START_SECONDS


class _Process(subprocess.Popen[bytes]):
    said: Path
    """What it wrote to stderr."""


class _Watch:
    """Notices that training begins, and each state that is saved from then on."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._record = self._modified(run_dir.record)
        self._seen: int | None = None
        self._begun = False

    def look(self) -> int | None:
        """The iteration of a state that is new, or the first that training begins at; else None."""
        if not self._begun:
            now = self._modified(self._run_dir.record)
            if now is None or now == self._record:
                return None
            self._begun = True
            self._seen = saved_step(self._run_dir) or 0
            return self._seen
        step = saved_step(self._run_dir)
        if step is None or step == self._seen:
            return None
        self._seen = step
        return step

    @staticmethod
    def _modified(path: Path) -> int | None:
        try:
            return path.stat().st_mtime_ns
        except OSError:
            return None


@contextmanager
def _started(argv: Sequence[str], run_dir: RunDir) -> Iterator[_Process]:
    """A process of a group of its own, ending with the block, or with this one; its words go to a file."""
    package = str(Path(rescli.__file__).resolve().parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    said = run_dir.path.with_name(f"{run_dir.path.name}.stderr")
    with open(said, "w+b") as stderr:
        process = _Process(
            ending_with_this(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
        process.said = said
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_free(run_dir: RunDir) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            with run_dir.locked():
                return
        except RunDirError:
            time.sleep(0.1)


def _last_words(process: _Process) -> str:
    lines = process.said.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (
        errors[-1] if errors else next((line for line in reversed(lines) if line.strip()), "no word of why")
    )


def _as_error(process: _Process) -> RescliError:
    code = process.returncode
    known: tuple[type[RescliError], ...] = (UsageError, DataError, CheckpointError, DivergedError)
    kind = next((each for each in known if each.exit_code == code), RescliError)
    return kind(f"the copy cannot be trained here: {_last_words(process)}")


def _failed_to_resume(process: _Process) -> VerificationError:
    code = process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return VerificationError(
        f"the process that was to go on after a kill {how}: {_last_words(process)}",
        page="verify-resume-found-a-difference",
    )
