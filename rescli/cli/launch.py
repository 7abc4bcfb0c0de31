"""One of the processes that ``rescli train --nproc N`` begins: what the command tells it, and is told."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rescli.cli.output.messages import say
from rescli.cli.output.streams import say_unprinted
from rescli.errors import Interrupted, LostRankError, RescliError, UsageError
from rescli.hardware.elastic import OUTCOME, STOP
from rescli.hardware.launcher import JOINING, Copies, is_first
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec

__all__ = [
    "HEARD",
    "LISTENS",
    "SILENT",
    "SPEC",
    "end",
    "handed_spec",
    "hearing_the_command",
    "is_spoken_for",
    "refuse_lone_copies",
    "report_outcome",
]

SPEC = "spec.json"
"""The file beside that of the outcome in which the processes find what they train."""

LISTENS, HEARD = "listens-", "heard-"
"""Files beside it by which each process says that signals reach it (inside is its number), and that it has
answered one."""

SILENT = " unsaid"
"""Follows the exit code in the outcome of a process that leaves the words to the first one."""

_LOOK_SECONDS = 0.3
_THREADS_SECONDS = 2.0


def handed_spec() -> RunSpec | None:
    """What the command that began this process found out about its images, and said; None without one."""
    place = os.environ.get(OUTCOME)
    path = Path(place).with_name(SPEC) if place is not None else None
    if path is None or not path.is_file():
        return None
    from rescli.spec.run import RunSpec

    return RunSpec.model_validate(json.loads(path.read_text(encoding="ascii")))


@contextmanager
def hearing_the_command(answers: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Within the block, signals of the command that began this process reach it, and the command's end does.

    Outside of several processes, nothing happens.

    Args:
        answers: whether this process has seen a signal.
    """
    place = os.environ.get(OUTCOME)
    if place is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    done, parent, main = threading.Event(), os.getppid(), threading.main_thread().ident
    assert main is not None
    rank = os.environ.get("RANK", "0")
    answered = Path(place).with_name(f"{HEARD}{rank}")
    with suppress(OSError):
        answered.unlink(missing_ok=True)  # of the process before it, where all were begun anew
        answered.with_name(f"{LISTENS}{rank}").write_text(str(os.getpid()), encoding="ascii")

    def listen() -> None:
        heard = ""
        while not done.wait(_LOOK_SECONDS):
            said = "SIGTERM" if os.getppid() != parent else heard
            with suppress(OSError):
                said = Path(place).with_name(STOP).read_text(encoding="ascii")
            if said and said != heard:
                signal.pthread_kill(main, signal.Signals[said.split()[0]])
                heard = said
            if heard and answers():
                with suppress(OSError):
                    answered.touch()

    thread = threading.Thread(target=listen, name="rescli-launch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(OSError):
            answered.touch()


def refuse_lone_copies(out: Path | None, *, of_one_run: bool = True) -> None:
    """Notice that Slurm or MPI began this command several times, each to train alone.

    With a run directory of its own each may be meant to: that is said, and no more.

    Args:
        out: the directory of what is trained, where one was named.
        of_one_run: whether several processes could train it together.

    Raises:
        UsageError: it is a later copy of one that trains already.
    """
    copies = Copies.noticed()
    if copies is None:
        return
    what = (
        f"{copies.launcher} began this command {counted(copies.count, 'time')} ({copies.variables}), and "
        "each trains alone what is to be trained"
    )
    together = " and let --nproc begin the processes, or start each with torchrun" if of_one_run else ""
    how = f"start it once{together}"
    if copies.number and out is None:
        raise UsageError(
            f"{what}; this is not the first.",
            hint=f"{how}; for work of its own: --out DIR",
            page="port-in-use-or-world_size-left-over",
        )
    say(f"warning: {what}; {how}")


def is_spoken_for(error: RescliError) -> bool:
    """Whether another process says the same: the first one, of a stop that all of them agreed on; the command
    that began them, of one that was lost."""
    if isinstance(error, LostRankError) and OUTCOME in os.environ:
        return True
    with suppress(UsageError):
        return isinstance(error, Interrupted) and not is_first()
    return False


def report_outcome(error: RescliError) -> bool:
    """Tell the command that began this process how it ended.

    Returns:
        Whether somebody is told, and this process is to end with 0.
    """
    place = os.environ.get(OUTCOME)
    if place is None or error.exit_code == RescliError.exit_code:
        return False
    silent = isinstance(error, Interrupted) and is_spoken_for(error)
    if silent and os.path.exists(place):
        return True
    return _tell_outcome(f"{error.exit_code}{SILENT if silent else ''}")


def _tell_outcome(text: str) -> bool:
    place = os.environ.get(OUTCOME)
    if place is None:
        return False
    beside = Path(f"{place}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="ascii")
        beside.replace(place)
    except OSError:  # the command is gone, and the folder with it
        return False
    return True


def end(code: int) -> NoReturn:
    """End this process; at once where it might wait for ever: as one of several, on those that are gone, and
    where it was told to stop, on a thread that reads from a disk which does not answer."""
    unprinted = say_unprinted()
    if unprinted is not None and code == 0 and not _tell_outcome(str(unprinted)):
        code = unprinted
    connected = _is_connected() and OUTCOME not in os.environ  # else the launcher sees to it
    if connected or (code == Interrupted.exit_code and _is_held_up()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        if not connected:
            atexit._run_exitfuncs()
        os._exit(code)
    raise SystemExit(code) from None


def _is_held_up() -> bool:
    """Whether threads that Python would wait for are still at work after a while."""
    if threading.current_thread() is not threading.main_thread():
        return False
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    until = time.monotonic() + _THREADS_SECONDS
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    return any(thread.is_alive() for thread in others)


def _is_connected() -> bool:
    """Whether this process has joined others, or is still trying to."""
    connecting = any(thread.name == JOINING for thread in threading.enumerate())
    distributed = sys.modules.get("torch.distributed")
    return connecting or (distributed is not None and distributed.is_initialized())
