"""A forked ``rescli`` with the face of ``subprocess.Popen``: pipes that are read, waited for and closed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from trials.process import ForkServer

__all__ = ["ForkedPopen"]

_PIPES = ("stdout", "stderr")


class ForkedPopen:
    """As ``Popen(["rescli", *argv], stdout=PIPE, stderr=PIPE, text=True, start_new_session=True)``.

    Args:
        server: what forks it.
        argv: the arguments.
        cwd: where it works; None for this process's.
    """

    def __init__(self, server: ForkServer, argv: tuple[object, ...], *, cwd: Path | None = None) -> None:
        self.args = ("rescli", *map(str, argv))
        pipes = {name: os.pipe() for name in _PIPES}
        mine = {name: f"/proc/{os.getpid()}/fd/{write}" for name, (_, write) in pipes.items()}
        self._running = server.start(*argv, cwd=cwd, env=server.changes_of(os.environ), **mine)
        self.pid = self._running.pid
        self.returncode: int | None = None
        for number, (_, write) in enumerate(pipes.values(), start=1):
            self._wait_until_taken(number, write)
            os.close(write)
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in pipes.values())

    def _wait_until_taken(self, descriptor: int, write: int) -> None:
        """The pipe would seem to be at its end if nobody had it open for writing."""
        pipe = os.readlink(f"/proc/self/fd/{write}")
        while self.poll() is None:
            with suppress(FileNotFoundError, ProcessLookupError):
                if os.readlink(f"/proc/{self.pid}/fd/{descriptor}") == pipe:
                    return
            time.sleep(0.001)

    def poll(self) -> int | None:
        """Its exit code, or minus the signal; None while it runs."""
        if self.returncode is None and self._running.has_ended:
            self.returncode = self._running.wait(0).code
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it has none within so many seconds.
        """
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.002)
        return code

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """Read what is left in both pipes, and wait for its end.

        Raises:
            TimeoutExpired: it has none within so many seconds.
        """
        texts: dict[str, str] = {}

        def read(name: str) -> None:
            stream = getattr(self, name)
            texts[name] = "" if stream.closed else stream.read()
            stream.close()

        readers = [threading.Thread(target=read, args=(name,), daemon=True) for name in _PIPES]
        for reader in readers:
            reader.start()
        until = time.monotonic() + timeout
        for reader in readers:
            reader.join(max(0.0, until - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(max(1.0, until - time.monotonic()))
        return texts["stdout"], texts["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            self._running.signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill it and its group if it still runs, and close the pipes: for the end of a test."""
        self._running.signal(signal.SIGKILL, group=True)
        for name in _PIPES:
            getattr(self, name).close()
