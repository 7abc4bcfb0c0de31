"""``rescli train --nproc N``: the same command in N processes, by torch's elastic launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from rescli.cli.output.messages import say
from rescli.errors import Interrupted, RescliError, UsageError
from rescli.hardware.elastic import END_NOW, OUTCOME, STOP
from rescli.hardware.launcher import JOINING, Copies, is_first
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec

__all__ = [
    "end",
    "handed_spec",
    "hearing_the_command",
    "is_spoken_for",
    "refuse_lone_copies",
    "report_outcome",
    "run_in_processes",
]

_RESTARTS = 3
_SPEC = "spec.json"
"""The file beside that of the outcome in which the processes find what they train."""

_LOOK_SECONDS = 0.3
_GRACE_SECONDS = 5.0


def run_in_processes(count: int, arguments: list[str], out: Path, spec: RunSpec | None = None) -> NoReturn:
    """Begin ``rescli train`` again in ``count`` processes, wait, and end with their exit code.

    A process that is lost (killed, out of memory) makes the launcher begin all of them anew, up to three
    times; they go on from the last saved state. What rescli itself refuses ends it at once. Signals to this
    process reach all of them.

    Args:
        arguments: of the command line, without the program.
        out: the run directory, the same in every process.
        spec: what they train, where the command looked at it already.
    """
    if count < 1:
        raise UsageError(f"--nproc {count}: at least one process.")
    own = [
        *_without(arguments, "--nproc"),
        *([] if _names(arguments, "--out", "--resume") else ["--out", str(out)]),
    ]
    with tempfile.TemporaryDirectory(prefix="rescli-launch-") as temporary:
        outcome = Path(temporary) / "outcome"
        if spec is not None:
            outcome.with_name(_SPEC).write_text(json.dumps(spec.to_dict()), encoding="ascii")
        command = [
            *(sys.executable, "-m", "rescli.hardware.elastic", str(count)),
            *("--standalone", "--nproc-per-node", str(count), "--max-restarts", str(_RESTARTS)),
            *("--signals-to-handle", "SIGUSR2"),  # none that anybody sends: see rescli.hardware.elastic
            *("-m", "rescli", *own),
        ]
        with _passing_on(outcome.with_name(STOP)):
            launcher = subprocess.Popen(command, env={**os.environ, OUTCOME: str(outcome)})
            code = _wait(launcher, outcome)
        raise SystemExit(int(outcome.read_text()) if outcome.is_file() else _exit_code(code))


def handed_spec() -> RunSpec | None:
    """What the command that began this process found out about its images, and said; None without one."""
    place = os.environ.get(OUTCOME)
    path = Path(place).with_name(_SPEC) if place is not None else None
    if path is None or not path.is_file():
        return None
    from rescli.spec.run import RunSpec

    return RunSpec.model_validate(json.loads(path.read_text(encoding="ascii")))


def _exit_code(code: int) -> int:
    """As a shell has it: 128 and the number of the signal that ended a process."""
    return code if code >= 0 else 128 - code


def _wait(launcher: subprocess.Popen[bytes], outcome: Path) -> int:
    """Until the launcher ends. Where one process has told how the run ended, others may wait for it in vain:
    they are given a while and then ended."""
    told: float | None = None
    while True:
        try:
            return launcher.wait(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if outcome.is_file():
                told = told or time.monotonic()
                if time.monotonic() - told > _GRACE_SECONDS:
                    launcher.send_signal(END_NOW)
                    told = float("inf")


@contextmanager
def _passing_on(stop: Path) -> Iterator[None]:
    """Within the block each signal is noted where the processes look; what is ignored stays ignored."""
    count = 0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        stop.with_suffix(".new").write_text(f"{signal.Signals(number).name} {count}", encoding="ascii")
        stop.with_suffix(".new").replace(stop)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def hearing_the_command() -> Iterator[None]:
    """Within the block, signals of the command that began this process reach it, and the command's end does.

    Outside of several processes, nothing happens.
    """
    place = os.environ.get(OUTCOME)
    if place is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    done, parent, main = threading.Event(), os.getppid(), threading.main_thread().ident
    assert main is not None

    def listen() -> None:
        heard = ""
        while not done.wait(_LOOK_SECONDS):
            said = "SIGTERM" if os.getppid() != parent else heard
            with suppress(OSError):
                said = Path(place).with_name(STOP).read_text(encoding="ascii")
            if said and said != heard:
                signal.pthread_kill(main, signal.Signals[said.split()[0]])
                heard = said

    thread = threading.Thread(target=listen, name="rescli-launch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


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
        raise UsageError(f"{what}; this is not the first.", hint=f"{how}; for work of its own: --out DIR")
    say(f"warning: {what}; {how}")


def is_spoken_for(error: RescliError) -> bool:
    """Whether the first of several processes says the same, of a stop that all of them agreed on."""
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
    beside = Path(f"{place}.{os.getpid()}")
    beside.write_text(str(error.exit_code), encoding="ascii")
    beside.replace(place)
    return True


def end(code: int) -> NoReturn:
    """End this process; as one of several at once, for what tears down their connections may wait for ever on
    those that are gone."""
    if _is_connected():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code) from None


def _is_connected() -> bool:
    """Whether this process has joined others, or is still trying to."""
    connecting = any(thread.name == JOINING for thread in threading.enumerate())
    distributed = sys.modules.get("torch.distributed")
    return connecting or (distributed is not None and distributed.is_initialized())


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
