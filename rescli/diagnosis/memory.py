"""Memory, and the shared memory that containers keep small."""

from __future__ import annotations

import os
from pathlib import Path

from rescli.diagnosis.findings import Fact, Finding, Part, size
from rescli.hardware.machine_memory import machine_memory
from rescli.remedy import Remedy

__all__ = ["look_at_memory", "look_at_shared_memory"]

_TIGHT = 2e9
"""Bytes. Training ResNet-20 takes 0.6 GB in all, and torch's libraries most of that."""
_TOO_LITTLE = 4e8
"""Below it not even torch and the smallest net fit."""

_SHM = Path("/dev/shm")


def look_at_memory() -> Part:
    """What the machine has, what is free, and what limits this process to less."""
    memory = machine_memory()
    facts: dict[str, Fact] = {
        "total_bytes": memory.total,
        "available_bytes": memory.available,
        "group_limit_bytes": memory.group_limit,
        "group_used_bytes": memory.group_used,
        "process_limit_bytes": memory.process_limit,
        "free_bytes": memory.free,
    }
    if memory.total is None or memory.available is None or memory.free is None:
        return Part("memory", (Finding("note", "the system does not say how much there is"),), facts)
    said = f"{size(memory.available)} available of {size(memory.total)}"
    if memory.group_limit is not None:
        said += (
            f"; the control group (a container's limit) allows {size(memory.group_limit)}, of which "
            f"{size(memory.group_used or 0)} are used"
        )
    if memory.process_limit is not None:
        said += f"; this process may use {size(memory.process_limit)} of addresses (ulimit -v)"
    smaller = (Remedy("data.batch_size", "N", "for a training: a smaller batch needs less"),)
    if memory.free < _TOO_LITTLE:
        return Part(
            "memory",
            (Finding("problem", f"{said}: too little to train anything", remedies=smaller),),
            facts,
        )
    if memory.free < _TIGHT:
        return Part("memory", (Finding("note", f"{said}: enough for small nets", remedies=smaller),), facts)
    return Part("memory", (Finding("ok", said),), facts)


def look_at_shared_memory() -> Part:
    """Its size; processes of rescli that decode images hand batches over without it."""
    try:
        found = os.statvfs(_SHM)
    except OSError:
        text = f"there is no {_SHM}; rescli's processes share memory without it"
        return Part("shared memory", (Finding("ok", text),), {"bytes": None})
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    facts: dict[str, Fact] = {"bytes": total, "free_bytes": free}
    # In MiB, as containers are told it: 64m.
    text = f"{_SHM} has {total >> 20:,} MiB, {free >> 20:,} free; rescli's processes share memory without it"
    return Part("shared memory", (Finding("ok", text),), facts)
