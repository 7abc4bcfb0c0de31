"""Painting the shapes set in a process of its own, beside the import of torch.

The other process paints block after block from the first one on, into memory that both have, and writes a
byte to a pipe for each that is done. Whoever needs the images paints from the last one back until they meet.
What is lost with the other process is painted here: only the time depends on it.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rescli.data.shapes.blocks import Block

__all__ = ["Ahead", "Sizes", "begin_painting", "painted_ahead"]

Sizes = tuple[tuple[str, int], ...]
"""Splits and their numbers of images, in the order in which they are asked for."""

_IMAGE_BYTES = 32 * 32 * 3
_MOST_IMAGES = 20_000
"""More would hold much memory twice; where they are so many, nobody minds a second."""

_begun: dict[tuple[int, Sizes], Ahead] = {}


class Ahead:
    """What another process has painted."""

    def __init__(self, seed: int, sizes: Sizes) -> None:
        """Begin to paint.

        Args:
            seed: of the set.
            sizes: what to paint.

        Raises:
            OSError: no process can be begun, or there is no memory for it.
        """
        with tempfile.TemporaryFile() as file:
            file.truncate(sum(count for _, count in sizes) * _IMAGE_BYTES)
            self._memory = mmap.mmap(file.fileno(), 0)
            room = Path(__file__).resolve().parents[3]
            given = json.dumps([file.fileno(), seed, sizes])
            program = f"import sys; sys.path = {[str(room), *sys.path]!r}; "
            program += f"from rescli.data.shapes.painter import main; main({given!r})"
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[file.fileno()],
            )
        assert self._process.stdout is not None
        self._told = self._process.stdout.fileno()
        os.set_blocking(self._told, False)
        self._done = 0
        atexit.register(self.stop)

    def num_done(self) -> int:
        """How many blocks, from the first one on, are painted by now."""
        with suppress(OSError):
            self._done += len(os.read(self._told, 1 << 16))
        return self._done

    def images(self, blocks: list[Block]) -> Iterator[NDArray[np.uint8]]:
        """The images of those of all blocks that are done, in order."""
        import numpy as np

        begin = 0
        for block in blocks[: self._done]:
            size = len(block.rows_B) * _IMAGE_BYTES
            flat = np.frombuffer(self._memory, np.uint8, size, begin)
            yield flat.reshape(-1, 32, 32, 3)
            begin += size

    def stop(self) -> None:
        """End the other process."""
        atexit.unregister(self.stop)
        with self._process:  # which also waits
            self._process.kill()


def begin_painting(seed: int, sizes: Sizes) -> None:
    """Begin to paint in another process, where that can be; returns at once."""
    key = (seed, sizes)
    if sys.platform == "win32" or not sys.executable or sum(count for _, count in sizes) > _MOST_IMAGES:
        return
    if key not in _begun:
        with suppress(OSError, ValueError):
            _begun[key] = Ahead(seed, sizes)


def painted_ahead(seed: int, sizes: Sizes) -> Ahead | None:
    """What ``begin_painting`` has begun with the same arguments, once; None where it did not."""
    return _begun.pop((seed, sizes), None)
