"""``rescli train --nproc N``: the same command in N processes, and what is said of one that is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rescli.cli.launch import HEARD, LISTENS, SILENT, SPEC
from rescli.cli.output.messages import say
from rescli.cli.train.passed_signals import Signals, listeners, noting_signals
from rescli.errors import Interrupted, LostRankError, RescliError
from rescli.hardware.elastic import END_NOW, LEAVING_SECONDS, LOST, OUTCOME, RESTARTS, STOP, UNBEGUN
from rescli.hardware.stop_signals import STOP_SIGNALS
from rescli.plurals import counted
from rescli.remedy import Remedy

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec

__all__ = ["Launcher"]

_READ_AHEAD = ("rescli.cli.app", "rescli.workflows.train", "rescli.cli.train.messages")
"""Modules that the processes need, read once for all of them."""
_LOOK_SECONDS = 0.3
_GRACE_SECONDS = 5.0

_HEARING_SECONDS = 10.0
"""How long a process may take to answer a signal: one that waits for another cannot."""

_AT_ONCE_SECONDS = 2.0


class Launcher:
    """``rescli train`` in several processes, by torch's launcher.

    It is begun before it is needed: it reads torch while the command looks at the images.
    """

    def __init__(self, count: int) -> None:
        """Begin the launcher; it ends with this process where nothing is to be trained after all.

        Args:
            count: how many processes.
        """
        self._count = count
        folder = Path(tempfile.mkdtemp(prefix="rescli-launch-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._outcome = folder / "outcome"
        command = [sys.executable, "-m", "rescli.hardware.elastic", str(count), "rescli", *_READ_AHEAD]
        # It begins with signals blocked, until it can leave them to this process.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, env={**os.environ, OUTCOME: str(self._outcome)}
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._abandon = weakref.finalize(self, _end, self._process)

    def run(self, arguments: list[str], out: Path, spec: RunSpec | None = None) -> NoReturn:
        """Train, wait, and end with the exit code of the processes.

        A process that is lost (killed, out of memory) makes the launcher begin all of them anew, up to three
        times; they go on from the last saved state. What rescli itself refuses ends it at once. Signals to
        this process reach all of them.

        Args:
            arguments: of the command line, without the program.
            out: the run directory, the same in every process.
            spec: what they train, where the command looked at it already.

        Raises:
            LostRankError: processes were lost too often.
            Interrupted: a signal came, and a process does not answer it.
        """
        own = [
            *_without(arguments, "--nproc"),
            *([] if _names(arguments, "--out", "--resume") else ["--out", str(out)]),
        ]
        if spec is not None:
            self._beside(SPEC).write_text(json.dumps(spec.to_dict()), encoding="ascii")
        with noting_signals() as signals:
            assert self._process.stdin is not None
            with suppress(OSError):  # it is gone, as its exit code says
                self._process.stdin.write(json.dumps(own).encode() + b"\n")
                self._process.stdin.close()
            self._abandon.detach()
            code = self._wait(signals, out)
        if self._beside(UNBEGUN).is_file():
            why = self._beside(UNBEGUN).read_text(encoding="utf-8")
            raise RescliError(
                f"{counted(self._count, 'process')} cannot be begun: {why}.",
                page="out-of-memory-on-the-machine",
            )
        said, silent, _ = self._said().partition(SILENT)
        if said and not silent:
            raise SystemExit(int(said))
        if said or signals.first:  # the first of them, who speaks for all, never came to it
            stopped = f"{signals.first or 'stopped'}: not all processes had begun; {_saved(out)}"
            raise Interrupted(stopped, remedy=_again(out, self._count), clean=True)
        if code:
            how = f"the launcher of the {counted(self._count, 'process')} {_how_it_ended(code)}"
            raise LostRankError(f"{how}; {_saved(out)}", remedy=_again(out, self._count))
        raise SystemExit(0)

    def _said(self) -> str:
        """What the processes say of their end: an exit code; nothing where they could not."""
        with suppress(OSError):
            return self._outcome.read_text(encoding="ascii")
        return ""

    def _wait(self, signals: Signals, out: Path) -> int:
        """Until the launcher ends. Who waits in vain for a process that has ended, or does not answer a
        signal, is given a while and then ended."""
        told: float | None = None
        lost = 0
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=_LOOK_SECONDS)
                self._say_lost(lost, out)
                if code < 0:
                    self._end_those_left(code)
                return code
            signals.pass_on(self._beside(STOP))
            lost = self._say_lost(lost, out)
            if self._outcome.is_file():
                told = told or time.monotonic()
                if time.monotonic() - told > _GRACE_SECONDS:
                    self._process.send_signal(END_NOW)
                    told = float("inf")
            elif (why := self._why_end(signals)) is not None:
                self._process.send_signal(END_NOW)
                self._process.wait()
                raise Interrupted(
                    f"{signals.first}: {why}{_saved(out)}",
                    remedy=_again(out, self._count),
                    page="stopped-what-is-saved",
                )

    def _end_those_left(self, code: int) -> None:
        """Without their launcher the processes save and stop: wait until all have."""
        pids = listeners(self._outcome.parent)
        if pids or self._outcome.is_file():
            say(f"warning: the launcher {_how_it_ended(code)}; its processes save their state and stop.")
        until = time.monotonic() + LEAVING_SECONDS + _GRACE_SECONDS
        while any(map(_is_at_work, pids)) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        for pid in filter(_is_at_work, pids):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _why_end(self, signals: Signals) -> str | None:
        """Why the processes are to be ended before they end by themselves."""
        if not signals.first:
            return None
        places = [*self._outcome.parent.glob(f"{LISTENS}*")]
        if not places:
            return "stopped before the processes began; "
        seconds = time.monotonic() - signals.since
        heard = {path.name.removeprefix(HEARD) for path in self._outcome.parent.glob(f"{HEARD}*")}
        silent = [str(rank) for rank in range(self._count) if str(rank) not in heard]
        if silent and seconds > _HEARING_SECONDS:
            which = f"process {silent[0]}" if len(silent) == 1 else f"processes {', '.join(silent)}"
            waits = "waits for another or hangs" if len(silent) == 1 else "wait for each other or hang"
            within = f"within {_HEARING_SECONDS:.0f} s"
            return f"{which} of {self._count} did not answer {within} ({waits}); all were ended; "
        if signals.again is not None and time.monotonic() - signals.again > _AT_ONCE_SECONDS:
            return "ended at once; "
        return None

    def _say_lost(self, known: int, out: Path) -> int:
        """Say which processes were lost meanwhile; returns how many times.

        Raises:
            LostRankError: it was once too often.
        """
        path = self._beside(LOST)
        lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
        for line in lines[known:]:
            lost = json.loads(line)
            how = f"process {lost['rank']} of {self._count} {_how_it_ended(lost['code'])}"
            if self._outcome.is_file():
                continue
            if not lost["again"]:
                self._process.wait()
                raise LostRankError(
                    f"{how}, the {RESTARTS + 1}th loss of this training; {_saved(out)}",
                    remedy=_again(out, self._count),
                )
            say(f"warning: {how}; all are begun anew; {_saved(out)}")
        return len(lines)

    def _beside(self, name: str) -> Path:
        return self._outcome.with_name(name)


def _end(launcher: subprocess.Popen[bytes]) -> None:
    launcher.kill()
    launcher.communicate()


def _is_at_work(pid: int) -> bool:
    """Whether that process is there and has not ended."""
    try:
        os.kill(pid, 0)
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[0]
            != "Z"
        )
    except ProcessLookupError:
        return False
    except OSError:  # a system without /proc
        return True


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    memory = ", as happens where memory runs out" if -code == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{memory}"


def _saved_step(out: Path) -> int | None:
    from rescli.workflows.running.saved import last_saved_iteration

    return last_saved_iteration(out)


def _saved(out: Path) -> str:
    step = _saved_step(out)
    return "no state was saved yet." if step is None else f"the state of iteration {step} is saved."


def _again(out: Path, count: int) -> tuple[Remedy, ...]:
    if _saved_step(out) is None:
        return ()
    return (Remedy("resume", str(out), also={"nproc": count}),)


def _without(arguments: list[str], flag: str) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == flag:
            skip = True
        elif not argument.startswith(f"{flag}="):
            kept.append(argument)
    return kept


def _names(arguments: list[str], *flags: str) -> bool:
    return any(argument.partition("=")[0] in flags for argument in arguments)
