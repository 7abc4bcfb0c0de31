"""What is written to stdout and stderr: messages, and streams that no text can take over."""

from __future__ import annotations

import sys
from typing import IO, Any

from rescli.foreign_text import terminal_text

__all__ = ["GuardedStream", "beneath", "guard_streams", "say"]


def say(text: str) -> None:
    """Print a message to stderr; its further lines are indented, so that none can pass for another message.

    Raises:
        OSError: nobody reads any more: a closed pipe, a full or closed device.
        ValueError: the stream was closed.
    """
    # Here, too, and not by the stream alone: rich's bars, which print it, would obey what it brings along.
    print(_indented(terminal_text(text)), file=sys.stderr, flush=True)


def _indented(text: str) -> str:
    first, *further = text.split("\n")
    return "\n".join([first, *(line if line[:1] in ("", " ") else f"  {line}" for line in further)])


class GuardedStream:
    """A stream of text whose reader may be a terminal: what that would obey is written as letters.

    Whoever prints to it need not think of where a text is from. It has no ``buffer``, a way past it.

    Args:
        stream: what is written to.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, made safe."""
        self._stream.write(terminal_text(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


def beneath(stream: IO[str]) -> IO[str]:
    """The stream that a guarded one writes to, for what prints escape sequences of its own."""
    return stream._stream if isinstance(stream, GuardedStream) else stream


def guard_streams() -> None:
    """From now on nothing that is printed commands a terminal, but rescli's own progress and colours."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, GuardedStream):
            setattr(sys, name, GuardedStream(stream))
