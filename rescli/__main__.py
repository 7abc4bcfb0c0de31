"""Where the program begins: signals have an answer before the imports, which take a while, are done."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

__all__ = ["main"]

_ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Entry point of the console script."""
    own = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _ASKED if own}
    unheeded = [n for n, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    for number in unheeded:
        signal.signal(number, _end)
    from rescli.cli import app

    for number in unheeded:
        signal.signal(number, before[number])
    app.main()


def _end(number: int, _frame: FrameType | None) -> None:
    # At once: an import that is cut short may answer an exception with one of its own.
    try:
        os.write(2, f"{signal.Signals(number).name}: stopped before it began.\n".encode())
    finally:
        os._exit(130)


if __name__ == "__main__":
    main()
