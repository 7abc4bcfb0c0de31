"""What a training needs and torch does not: begun beside the import of torch. Imports no torch."""

from __future__ import annotations

import sys
from pathlib import Path

from rescli.hardware.bf16_flag import claims_bf16
from rescli.kernels.c_compiler import precompile
from rescli.kernels.libraries import LIBRARIES
from rescli.spec.run import RunSpec
from rescli.workflows.running.torch_import import preload_torch

__all__ = ["begin_ahead"]

_NVIDIA = Path("/proc/driver/nvidia")


def begin_ahead(spec: RunSpec, *, device: str, engine: str | None = None, kernels: str | None = None) -> None:
    """Begin to compile kernels, to paint or read images and to load torch's libraries; returns at once.

    Whatever fails here is met again, and told, by the training that needs it. Where torch is imported already
    there is nothing to do it beside.

    Args:
        spec: what will be trained.
        device: as it was asked for, and likewise ``engine`` and ``kernels``.
    """
    if "torch" in sys.modules:
        return
    preload_torch()
    on_cpu = device == "cpu" or (device == "auto" and sys.platform == "linux" and not _NVIDIA.exists())
    if on_cpu and engine != "compile" and kernels in (None, "auto", "native"):
        guessed = "bf16" if claims_bf16() else "fp32"
        precompile(*LIBRARIES.get(spec.precision if spec.precision != "auto" else guessed, ()))
    spec.data.dataset.begin_building()
