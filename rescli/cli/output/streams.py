"""stdout and stderr that outlive their readers: a closed pipe or a full disk ends no work.

What was done is done, whether or not somebody can be told. So a reader that is gone (``| head -1``, a
terminal that was closed) is no failure; what another failure kept from stdout is said on stderr, with an exit
code of its own.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TextIO

from rescli.cli.output.messages import say
from rescli.errors import WriteError
from rescli.report.messages import beneath, guard_streams

__all__ = ["say_unprinted", "streams_of_a_program"]

_SPELLED = {"×": "x", "…": "...", "±": "+-", "·": "*", "▫": "?"}
"""Signs of rescli's own texts, for terminals and files of ASCII."""

_KEPT_BYTES = 16_384
"""How much is kept of what could not be printed."""


class _Lasting(io.RawIOBase):
    """A descriptor to which any number of bytes can be written, whether it takes them or not.

    Attributes:
        failure: why it takes no more, where that is not that its reader is gone.
        unwritten: the first bytes that it did not take since.
    """

    def __init__(self, stream: TextIO) -> None:
        self.name = getattr(stream, "name", "")
        self.failure: OSError | None = None
        self.unwritten = b""
        self._stream = stream  # whose end would close the descriptor
        self._number = stream.fileno()
        self._terminal = stream.isatty()
        self._gone = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        if not self._gone and self.failure is None:
            try:
                return self._written(content)
            except OSError as error:
                if error.errno == errno.EPIPE or (error.errno == errno.EIO and self._terminal):
                    self._gone = True
                else:
                    self.failure = error
        if self.failure is not None:
            self.unwritten += content[: _KEPT_BYTES - len(self.unwritten)]
        return len(content)

    def _written(self, content: bytes) -> int:
        while True:
            try:
                return os.write(self._number, content)
            except BlockingIOError:  # its reader, who may share it, made it non-blocking, and is late
                room = select.poll()
                room.register(self._number, select.POLLOUT)
                room.poll()


@contextmanager
def streams_of_a_program() -> Iterator[None]:
    """A block in which stdout and stderr are such as this module describes, and no text commands a terminal.

    Afterwards they are what they were: whoever calls the program from a notebook goes on with his own.
    """
    before = sys.stdout, sys.stderr
    _mend_streams()
    guard_streams()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _mend_streams() -> None:
    """Let stdout and stderr outlive their readers.

    Characters that they lack are spelled out. Those that the caller closed swallow what is written; their
    numbers are taken, so that no file of ours gets one and with it what a library prints.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    codecs.register_error("rescli", _spelled)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="rescli")
            # What tests and notebooks put there is theirs. Under PYTHONUNBUFFERED it has no buffer between.
            if type(stream) is io.TextIOWrapper and isinstance(_raw(stream), io.FileIO):
                setattr(sys, name, _lasting(stream))


def say_unprinted() -> int | None:
    """Say on stderr what could not be printed to stdout.

    Returns:
        The exit code for that; None where all was printed, or nobody is there to read it.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    raw = _raw(beneath(sys.stdout))
    if not isinstance(raw, _Lasting) or raw.failure is None:
        return None
    reason, raw.failure = raw.failure, None
    text = raw.unwritten.decode(sys.stdout.encoding, "replace").rstrip()
    whole = "" if len(raw.unwritten) < _KEPT_BYTES else " (its beginning)"
    raw.unwritten = b""
    why = reason.strerror or reason
    say(f"error: stdout cannot be written: {why}; the work itself is done. Its result{whole}:")
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # as it would stand on stdout, for whoever wants it
    return WriteError.exit_code


def _raw(stream: IO[str]) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    with suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(stream)),
        encoding=stream.encoding,
        errors="rescli",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for characters that a stream lacks: ``x`` for the sign of multiplication, or a code."""
    if not isinstance(error, UnicodeEncodeError):
        return codecs.backslashreplace_errors(error)
    signs = error.object[error.start : error.end]
    return "".join(_SPELLED.get(sign) or _code(sign) for sign in signs), error.end


def _code(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode()
