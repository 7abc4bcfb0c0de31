"""torch's elastic launcher in a process that leaves signals to the command that began it.

``python -m rescli.hardware.elastic COUNT ARGUMENTS``, as ``torchrun ARGUMENTS``. torch's own answer to a
signal is to end the processes that train, with warnings and a traceback; here the command tells them to save
and stop, and the launcher sees them come to their end.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rescli.hardware.cores import usable_cores

__all__ = ["END_NOW", "OUTCOME", "STOP", "main"]

OUTCOME = "RESCLI_OUTCOME"
"""The environment variable that names a file for the exit code of the run."""

STOP = "stop"
"""The file beside it in which the command says which signal it had, and how many so far."""

END_NOW = signal.SIGUSR1
"""Makes the launcher end its processes."""

_LOOK_SECONDS = 1.0


def main() -> None:
    """Run the launcher with the arguments of the command line.

    The first of them says how many processes share the cores, unless the user said otherwise.
    """
    count, *arguments = sys.argv[1:]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // int(count))))
    os.environ.setdefault("LOGLEVEL", "CRITICAL")  # the processes say what happened, in one line each
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, which the processes do not inherit; what is ignored they are to ignore too.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_it)
    signal.signal(END_NOW, _end)
    parent = os.getppid()
    threading.Thread(target=_stop_with, args=(parent,), daemon=True).start()
    try:
        run.main(arguments)
    except ChildFailedError:
        sys.exit(1)
    finally:
        if os.getppid() != parent:  # nobody else is left to take it away
            shutil.rmtree(Path(os.environ[OUTCOME]).parent, ignore_errors=True)


def _leave_it(_number: int, _frame: FrameType | None) -> None:
    pass


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)  # on its way out the launcher ends its processes


def _stop_with(parent: int) -> None:
    """Where the command was killed, let the processes stop as if it had been told to."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    folder = Path(os.environ[OUTCOME]).parent
    with suppress(FileNotFoundError):  # no process is left to be told
        beside = folder / f"{STOP}.new"
        beside.write_text("SIGTERM 1", encoding="ascii")
        beside.replace(folder / STOP)


if __name__ == "__main__":
    main()
