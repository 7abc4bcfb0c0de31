"""Whether this processor's maker says that it multiplies bf16. Imports no torch: ``cpu_probe`` tries it."""

from __future__ import annotations

import os

from rescli.hardware.processor import processor_flags

__all__ = ["claims_bf16"]

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def claims_bf16() -> bool:
    """Whether a flag of the processor says so, and oneDNN was not told to keep to older instructions.

    A guess that something may be begun by; what is computed in is the probe's to decide.
    """
    told = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    if not any(name in told for name in ("ALL", "DEFAULT", "BF16", "AMX")):
        return False
    return not _FLAGS.isdisjoint(processor_flags())
