"""``rescli train --nproc N``: the same command in N processes, by torch's elastic launcher."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from rescli.errors import RescliError, UsageError
from rescli.hardware.launcher import launched

__all__ = ["end", "report_outcome", "run_in_processes"]

_OUTCOME = "RESCLI_OUTCOME"
"""Names a file for the exit code: the launcher would begin anew after any code but 0."""

_RESTARTS = 3
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 5.0


def run_in_processes(count: int, arguments: list[str], out: Path) -> NoReturn:
    """Begin ``rescli train`` again in ``count`` processes, wait, and end with their exit code.

    A process that is lost (killed, out of memory) makes the launcher begin all of them anew, up to three
    times; they go on from the last saved state. What rescli itself refuses ends it at once.

    Args:
        arguments: of the command line, without the program.
        out: the run directory, the same in every process.
    """
    if count < 1:
        raise UsageError(f"--nproc {count}: at least one process.")
    own = [
        *_without(arguments, "--nproc"),
        *([] if _names(arguments, "--out", "--resume") else ["--out", str(out)]),
    ]
    with tempfile.TemporaryDirectory(prefix="rescli-launch-") as temporary:
        outcome = Path(temporary) / "outcome"
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)),
            *("--max-restarts", str(_RESTARTS), "-m", "rescli", *own),
        ]
        launcher = subprocess.Popen(command, env={**_shared_cores(count), _OUTCOME: str(outcome)})
        code = _wait(launcher, outcome)
        raise SystemExit(int(outcome.read_text()) if outcome.is_file() else code)


def _wait(launcher: subprocess.Popen[bytes], outcome: Path) -> int:
    """Until the launcher ends. Where one process has told how the run ended, others may wait for it in vain:
    they are given a while and then ended."""
    told: float | None = None
    while True:
        try:
            return launcher.wait(timeout=_LOOK_SECONDS)
        except KeyboardInterrupt:
            continue  # the launcher has it too, and gives its processes the time to save
        except subprocess.TimeoutExpired:
            if outcome.is_file():
                told = told or time.monotonic()
                if time.monotonic() - told > _GRACE_SECONDS:
                    launcher.terminate()


def _shared_cores(count: int) -> dict[str, str]:
    """The environment, with the cores shared among the processes unless the user said otherwise."""
    threads = max(1, (os.cpu_count() or 1) // count)
    return {"OMP_NUM_THREADS": str(threads), **os.environ}


def report_outcome(error: RescliError) -> bool:
    """Tell the command that began this process how it ended.

    Returns:
        Whether somebody is told, and this process is to end with 0.
    """
    place = os.environ.get(_OUTCOME)
    if place is None or not launched() or error.exit_code == RescliError.exit_code:
        return False
    Path(place).write_text(str(error.exit_code), encoding="ascii")
    return True


def end(code: int) -> NoReturn:
    """End this process; as one of several at once, for what tears down their connections may wait for ever on
    those that are gone."""
    if launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code) from None


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
