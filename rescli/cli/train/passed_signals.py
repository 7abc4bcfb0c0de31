"""Signals to ``rescli train --nproc N``, handed on to the processes that train for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rescli.cli.launch import LISTENS
from rescli.hardware.stop_signals import STOP_SIGNALS
from rescli.workflows.running.stopping import DOUBLE_TAP_SECONDS, handled

__all__ = ["Signals", "listeners", "noting_signals"]


@dataclass
class Signals:
    """What was sent to this process so far: the name of the first, when it came, and a second SIGINT."""

    first: str = ""
    since: float = 0.0
    again: float | None = None
    newest: int = 0
    count: int = 0
    _passed_on: int = 0

    def note(self, number: int, _frame: FrameType | None) -> None:
        """The handler: it only remembers, since what it raised would leave the processes at work alone."""
        now = time.monotonic()
        if not self.first:
            self.first, self.since = signal.Signals(number).name, now
        elif number == signal.SIGINT and now - self.since > DOUBLE_TAP_SECONDS:
            self.again = now
        self.newest, self.count = number, self.count + 1

    def pass_on(self, stop: Path) -> None:
        """Tell the processes of a signal that they were not told of.

        Args:
            stop: the file in which they look. Where it cannot be written, each gets the signal itself.
        """
        number, count = self.newest, self.count
        if count == self._passed_on:
            return
        try:
            beside = stop.with_suffix(".new")
            beside.write_text(f"{signal.Signals(number).name} {count}", encoding="ascii")
            beside.replace(stop)
        except OSError:  # a full disk, a folder that somebody tidied away
            for pid in listeners(stop.parent):
                with suppress(OSError):
                    os.kill(pid, number)
        self._passed_on = count


def listeners(folder: Path) -> list[int]:
    """The processes that look for signals there, by their numbers."""
    found: list[int] = []
    for path in folder.glob(f"{LISTENS}*"):
        with suppress(OSError, ValueError):  # one that was made and not yet written
            found.append(int(path.read_text(encoding="ascii")))
    return [pid for pid in found if pid > 0]


@contextmanager
def noting_signals() -> Iterator[Signals]:
    """Within the block each signal is noted and ends nothing; what is ignored stays ignored."""
    signals = Signals()
    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    with handled(numbers, signals.note):
        yield signals
