"""A launcher that begins nothing, in place of the process that begins the others."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Callable, Mapping

__all__ = ["silent_launcher"]


def silent_launcher(sent: list[int], begin: Callable[[Mapping[str, str]], None] = lambda _env: None) -> type:
    """A stand-in for ``subprocess.Popen``: it is at work until it is sent a signal, and then ends with 1.

    Waited for before that, it sends SIGTERM to this process, as somebody would who stops the command.

    Args:
        sent: gets each signal that it is sent.
        begin: called with the environment that it is begun with.
    """

    class SilentLauncher:
        stdin = io.BytesIO()

        def __init__(self, *_: object, env: Mapping[str, str], **__: object) -> None:
            begin(env)

        def wait(self, timeout: float | None = None) -> int:
            if not sent and timeout is not None:
                os.kill(os.getpid(), signal.SIGTERM)
                raise subprocess.TimeoutExpired("launcher", timeout)
            return 1

        def kill(self) -> None: ...

        def send_signal(self, number: int) -> None:
            sent.append(number)

    return SilentLauncher
