"""Recognising that memory ran out, which torch says in one way on a GPU and in others elsewhere."""

from __future__ import annotations

import torch

__all__ = ["is_out_of_memory"]

_SAYINGS = (
    "DefaultCPUAllocator: can't allocate memory",  # Linux and macOS
    "DefaultCPUAllocator: not enough memory",  # Windows
    "CUDA error: out of memory",  # asked for outside torch's own pool
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)
"""What torch raises as a plain RuntimeError; any other word of memory is another fault."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device or the machine has no memory left.

    An illegal memory access, or a network's complaint about a memory format, is not that.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAYINGS)
