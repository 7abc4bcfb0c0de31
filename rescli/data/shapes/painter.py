"""What the other process of ``ahead`` runs. Imports no torch."""

from __future__ import annotations

import json
import mmap
import os

from rescli.data.shapes.blocks import blocks_of, shuffled_labels

__all__ = ["main"]

_NICE = 5
"""The import of torch goes first where there is one core for both."""


def main(given: str) -> None:
    """Paint into memory that both processes have, and write a byte to stdout for each block.

    Args:
        given: as JSON the file of that memory, the seed and the sizes.
    """
    os.nice(_NICE)
    file, seed, sizes = json.loads(given)
    memory, begin = mmap.mmap(file, 0), 0
    for split, count in sizes:
        for block in blocks_of(seed, split, shuffled_labels(seed, split, count)):
            content = block.paint().tobytes()
            memory[begin : begin + len(content)] = content
            begin += len(content)
            os.write(1, b".")
