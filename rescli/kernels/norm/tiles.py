"""How many programs share the rows of a map, and in which tiles: fixed by the shape alone.

No autotuning: which sums are formed, and so the bits of the result, would depend on the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

__all__ = ["MAX_PARTIALS", "NormLaunch", "norm_launch"]

MAX_PARTIALS = 128
"""Most programs that share the rows of one block of channels in a sum; who reads the sum adds up as many."""


@dataclass(frozen=True)
class NormLaunch:
    """Launch parameters of the four kernels of a map of M rows (pixels) and C channels.

    Args:
        block_rows, block_channels: the tile that a program holds at once; powers of 2.
        num_partials: programs along the rows in the kernels that sum, each over ``rows_per_partial``.
        num_programs: programs along the rows in the kernels that write, each over ``rows_per_program``.
        channel_programs: programs along the channels in all of them.
    """

    block_rows: int
    block_channels: int
    num_warps: int
    num_partials: int
    rows_per_partial: int
    num_programs: int
    rows_per_program: int
    channel_programs: int


@cache
def norm_launch(num_rows: int, num_channels: int) -> NormLaunch:
    """The launch parameters; reasoned for an H100, not measured on one.

    A tile has 4096 elements, 16 for each of 256 threads. Maps that fit the cache (CIFAR's) are cut into
    blocks of 16 channels, a whole 32-byte sector in bf16, so that there are programs enough for 132
    processors and few partial sums for each to add up; larger maps into blocks of 64, whole lines, with
    more programs in flight to cover the memory's latency. Two kinds of tile only: each compiles anew.
    """
    small = num_rows * num_channels < 1 << 23
    block_rows, block_channels = (256, 16) if small else (64, 64)
    channel_programs = -(-num_channels // block_channels)

    def share(most: int) -> tuple[int, int]:
        """(programs, rows of each): whole tiles, and no program without a row."""
        num_tiles = -(-num_rows // block_rows)
        tiles_each = -(-num_tiles // max(1, min(num_tiles, most)))
        return -(-num_tiles // tiles_each), tiles_each * block_rows

    most = (256 if small else 1024) // channel_programs
    num_partials, rows_per_partial = share(min(MAX_PARTIALS, most))
    num_programs, rows_per_program = share(most)
    return NormLaunch(
        block_rows=block_rows,
        block_channels=block_channels,
        num_warps=8,
        num_partials=num_partials,
        rows_per_partial=rows_per_partial,
        num_programs=num_programs,
        rows_per_program=rows_per_program,
        channel_programs=channel_programs,
    )
