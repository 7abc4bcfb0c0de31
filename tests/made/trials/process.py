"""``rescli`` as processes that begin in milliseconds: forked from one that has imported everything."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trials.case import EXIT_CODES, Case
from trials.injector import injector

__all__ = ["Ended", "ForkServer", "Running"]

_CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    code: its exit code, or minus the signal. seconds: of the clock. operations: what the injector counted,
    where it was set.
    """

    code: int
    out: str
    err: str
    seconds: float
    peak_bytes: int
    hung: bool = False
    operations: int = 0

    def require(self, case: Case, *allowed: int, memory: int = 3 << 30) -> Ended:
        """Hold it against what every command promises.

        Args:
            case: for the message.
            allowed: exit codes; none named, all that are documented.
            memory: bytes that it may have held at its peak.

        Raises:
            Failed: it hung, left a traceback, ended with another code, or held more memory.
        """
        printed = f"stdout: {self.out[-800:]}\nstderr: {self.err[-3000:]}"
        end = f"exit {self.code} after {self.seconds:.1f} s\n{printed}"
        if self.hung:
            raise case.fails("hung", end)
        if "Traceback (most recent call last)" in self.err + self.out:
            raise case.fails("traceback", end)
        if self.code not in (allowed or EXIT_CODES):
            raise case.fails("wrong exit", f"allowed: {sorted(allowed or EXIT_CODES)}; {end}")
        if self.peak_bytes > memory:
            raise case.fails("over memory", f"{self.peak_bytes / 1e6:.0f} MB; {end}")
        return self


class Running:
    """A process that was begun, the first of a session and a process group of its own."""

    def __init__(self, server: ForkServer, pid: int, files: Path) -> None:
        self._server, self.pid, self._files = server, pid, files
        self._began = time.monotonic()

    def signal(self, number: int, *, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    @property
    def printed(self) -> str:
        """What it wrote to stderr so far."""
        return (self._files / "err").read_text(encoding="utf-8", errors="replace")

    @property
    def has_ended(self) -> bool:
        return self._server.end_of(self.pid, 0) is not None

    def wait(self, seconds: float = 120) -> Ended:
        """Wait for its end; after so many seconds it and its group are killed, and it counts as hung."""
        answer = self._server.end_of(self.pid, seconds)
        hung = answer is None
        if answer is None:
            self.signal(signal.SIGKILL, group=True)
            answer = self._server.end_of(self.pid, 30)
            assert answer is not None
        out, err = ((self._files / name).read_text("utf-8", "replace") for name in ("out", "err"))
        operations = int.from_bytes((self._files / "count").read_bytes(), sys.byteorder)
        took = time.monotonic() - self._began
        return Ended(answer["code"], out, err, took, answer["peak_bytes"], hung, operations)


class ForkServer:
    """Begins one process after another; the file operations of each can be made to fail or kill.

    Args:
        folder: for what the processes print.
        env: variables that the interpreter itself looks at, such as ``LC_ALL``.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] = {}) -> None:
        self._folder, self._begun = folder, 0
        self._ended: dict[int, Any] = {}
        self._unread = b""
        path = os.pathsep.join(
            filter(None, [str(_CHECKOUT), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
        )
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **env}
        self._environment = environment
        self.injector = injector(folder)
        if self.injector is not None:
            environment["LD_PRELOAD"] = str(self.injector)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trials.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        ready = self._answer(300)
        assert ready is not None
        self.has_mounts: bool = ready["mounts"]
        """Whether it can mount file systems, which nobody else sees."""

    def start(
        self,
        *argv: object,
        cwd: Path | None = None,
        env: Mapping[str, str | None] = {},
        stdout: str | Path | None = None,
        stderr: str | Path | None = None,
        fault: Mapping[str, Any] | None = None,
        limits: Mapping[str, int] = {},
        clock: tuple[int, int] | None = None,
        user: int | None = None,
        umask: int | None = None,
        before: str | None = None,
        in_background: bool = False,
    ) -> Running:
        """Begin ``rescli *argv``.

        Args:
            argv: the arguments.
            cwd: where it works; None for this process's.
            env: variables changed; None removes one.
            stdout: a file to write to instead, ``closed``, or None for one that ``Ended.out`` shows.
            stderr: likewise.
            fault: for ``trials.injector``: at, do, under.
            limits: of ``resource``, by their names: ``{"RLIMIT_AS": 2 << 30}``.
            clock: after so many looks at the clock of the day it jumps by so many seconds.
            user: the number of the user and the group that it becomes.
            umask: instead of this process's.
            in_background: not in the group that its terminal listens to.
            before: ``module:function``, called in the process before ``rescli`` begins.
        """
        self._begun += 1
        files = self._folder / str(self._begun)
        files.mkdir()
        request = {
            "argv": [os.fsdecode(os.fspath(a)) if isinstance(a, os.PathLike) else str(a) for a in argv],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(env),
            "out": str(stdout or files / "out"),
            "err": str(stderr or files / "err"),
            "fault": f"{fault['at']}\n{fault['do']}\n{files / 'count'}\n{fault['under']}" if fault else None,
            "limits": dict(limits),
            "clock": clock,
            "user": user,
            "umask": umask,
            "before": before,
            "in_background": in_background,
        }
        for name, content in (("out", b""), ("err", b""), ("count", bytes(8))):
            (files / name).write_bytes(content)
        return Running(self, self._ask(request)["pid"], files)

    def run(self, *argv: object, seconds: float = 120, **options: Any) -> Ended:
        """Begin it and wait for its end; the keywords are those of ``start``."""
        return self.start(*argv, **options).wait(seconds)

    def changes_of(self, environment: Mapping[str, str]) -> dict[str, str | None]:
        """What ``start`` is to be given as ``env``, so that the process finds this environment."""
        own = ("PYTHONPATH", "LD_PRELOAD")
        gone = {name: None for name in self._environment if name not in environment and name not in own}
        return {**{name: value for name, value in environment.items() if name not in own}, **gone}

    def end_of(self, pid: int, seconds: float) -> Any:
        """How that process ended; None where it has not in so many seconds."""
        until = time.monotonic() + seconds
        while pid not in self._ended:
            answer = self._answer(max(0.0, until - time.monotonic()))
            if answer is None:
                return None
            self._ended[answer["ended"]] = answer
        return self._ended[pid]

    def address_space(self) -> int:
        """Bytes of it that a process has when it begins, for limits that leave some more."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[0]
        return int(pages) * resource.getpagesize()

    def mount(self, folder: Path, options: str | None) -> int:
        """A file system in memory that the processes see from now on, and that ends with the server.

        Args:
            folder: where; ``inside`` shows this process what is in it.
            options: such as ``size=1m`` or ``remount,ro``; None unmounts it.

        Returns:
            0, or errno.
        """
        return int(self._ask({"mount": str(folder), "options": options})["errno"])

    def inside(self, path: Path) -> Path:
        """The path as its processes see it, mounts included."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def _ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            answer = self._answer(60)
            assert answer is not None
            if "ended" not in answer:
                return answer
            self._ended[answer["ended"]] = answer

    def _answer(self, seconds: float) -> Any:
        """The server's next line; None where none comes in time."""
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                return None
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            assert piece, "the server of processes is gone"
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
