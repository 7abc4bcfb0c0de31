"""Which precision the convolutions run in, and what it needs."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

from rescli.errors import UnknownNameError, UsageError
from rescli.hardware.allocator import keep_freed_memory
from rescli.hardware.cpu_probe import bf16_pays_off
from rescli.hardware.threads.cores import usable_cores
from rescli.remedy import Remedy

__all__ = [
    "PRECISIONS",
    "Numerics",
    "choose_device",
    "choose_eval_precision",
    "choose_precision",
    "heed_quota",
    "precision_as_trained",
    "use_threads",
]

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""What a precision may be called; ``auto`` is chosen by the hardware, or as a net was trained."""

FP16_LOSS_SCALE = 128.0
"""Static, so that nothing waits for the host; batch norm keeps the gradients of these nets in range."""


@dataclass(frozen=True)
class Numerics:
    """The device and the precision of its convolutions.

    Parameters, momentum, batch-norm statistics, logits and loss are fp32 throughout.

    Attributes:
        device: where everything is computed.
        precision: fp32, bf16 or fp16.
    """

    device: torch.device
    precision: str

    def configure_backend(self) -> None:
        """Set torch's switches, for training and evaluation alike: the same work gives the same bits."""
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = False  # another algorithm on another day is another result
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        elif self.device.type == "cpu":
            keep_freed_memory()
            heed_quota()

    def autocast(self, *, keep_casts: bool = True) -> AbstractContextManager[object]:
        """Return the context in which a forward pass runs.

        Args:
            keep_casts: cast a weight once, however often it is used.
        """
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype, cache_enabled=keep_casts)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the maps between convolutions."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by before the backward pass, and gradients are divided by after it."""
        return FP16_LOSS_SCALE if self.precision == "fp16" else 1.0


def choose_device(requested: str) -> torch.device:
    """The device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: not a device's name, or this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    try:
        device = torch.device(requested)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in available:
        raise UsageError(
            f"unknown device {requested!r}; known: auto, {', '.join(available)}, or cuda:1 and so on."
        )
    if not available[device.type] or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise UsageError(
            f"device {requested!r} is not available here; there is: {there}.",
            remedy=Remedy("device", "auto"),
            page="the-device-is-not-there",
        )
    return device


def choose_precision(requested: str, device: torch.device) -> str:
    """The precision of a name; ``auto`` is bf16 where the hardware multiplies bf16, else fp32.

    A CPU is asked by a probe of 30 ms.

    Raises:
        UnknownNameError: no such precision.
        UsageError: fp16 where there is no CUDA device.
    """
    if requested not in PRECISIONS:
        raise UnknownNameError("precision", requested, PRECISIONS)
    if requested == "fp16" and device.type != "cuda":
        raise UsageError(
            f"precision fp16 needs a CUDA device; {device.type} has bf16 and fp32.",
            remedy=Remedy("precision", "auto"),
            page="no-bf16-or-bf16-is-slow",
        )
    if requested == "bf16" and device.type == "cpu" and not _multiplies_bf16(device):
        _log.warning(
            "this CPU computes bf16 by emulation, several times slower than fp32; %s is faster.",
            Remedy("precision", "fp32"),
        )
    if requested != "auto":
        return requested
    return "bf16" if _multiplies_bf16(device) else "fp32"


def choose_eval_precision(requested: str, trained: str, device: torch.device) -> str:
    """The precision to evaluate in; ``auto`` is the one that the weights were trained in.

    Raises:
        UsageError: fp16 where there is no CUDA device.
    """
    return (
        precision_as_trained(trained, device) if requested == "auto" else choose_precision(requested, device)
    )


def precision_as_trained(trained: str, device: torch.device) -> str:
    """The precision in which weights were trained where the hardware has it, else fp32.

    What a net was trained in is what its figures were measured in; published weights are fp32.
    """
    if trained == "bf16" and _multiplies_bf16(device):
        return trained
    if trained == "fp16" and device.type == "cuda":
        return trained
    return "fp32"


def use_threads(count: int) -> None:
    """Let the CPU compute in that many threads from now on."""
    heed_quota()  # which is done once, and not to be done after this
    torch.set_num_threads(count)


@cache
def heed_quota() -> None:
    """No more threads than cores that are ours: torch heeds the affinity, and not a control group's quota."""
    if not os.environ.get("OMP_NUM_THREADS") and torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bf16_pays_off()
