"""The processor: its name, its instructions, and how many of its cores are ours."""

from __future__ import annotations

import os

from rescli.diagnosis.findings import Fact, Finding, Part
from rescli.hardware.processor import processor_flags, processor_name
from rescli.hardware.threads.cores import cpu_quota, usable_cores
from rescli.plurals import counted

__all__ = ["look_at_processor"]

_INSTRUCTIONS = {
    "avx2": {"avx2"},
    "avx512": {"avx512f"},
    "avx512_bf16": {"avx512_bf16"},
    "amx": {"amx_tile"},
    "neon": {"asimd", "neon"},
    "bf16": {"bf16"},
}
"""What is shown of them, to the kernel's names."""


def look_at_processor() -> Part:
    """Its name and instructions, and cores by affinity (``taskset``, a cpuset) and by quota."""
    present, usable = os.cpu_count() or 1, usable_cores()
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        allowed = present
    quota = cpu_quota()
    flags = processor_flags()
    there = [name for name, flag in _INSTRUCTIONS.items() if flag & flags]
    facts: dict[str, Fact] = {
        "name": processor_name(),
        "cores_present": present,
        "cores_allowed": allowed,
        "cores_quota": None if quota is None else round(quota, 2),
        "cores_usable": usable,
        "instructions": list(there),
    }
    said = " ".join(there) if there else ("nothing that is told apart" if flags else "not told by the system")
    findings = [
        Finding("ok", f"{processor_name()}, {counted(present, 'core')} (hyperthreads count); has {said}"),
        Finding("ok", f"{counted(usable, 'core')} usable of {present}"),
    ]
    limits = []
    if allowed < present:
        limits.append(f"the affinity of this process (taskset, a cpuset, a batch system) allows {allowed}")
    if quota is not None and quota < allowed:
        limits.append(f"the quota of its control group (a container's limit) allows {quota:.2f}")
    if limits:
        findings[1] = Finding(
            "note",
            f"{counted(usable, 'core')} usable of {present}: {'; '.join(limits)}",
            hint="rescli uses no more than that; give the container or the job more to train faster",
        )
    return Part("processor", tuple(findings), facts)
