"""How many operations a training step launches: what guards its speed where nobody can time it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.hardware.numerics import Numerics
from rescli.runs.assembly import Assembly
from rescli.training.engines.eager import EagerEngine

__all__ = ["OperationCounter", "count_operations", "device_kernels"]

_PROFILED_STEPS = 4


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations that compute: views and empty memory launch nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += not (func.is_view or "empty" in str(func))
        return func(*args, **(kwargs or {}))


def count_operations(assembly: Assembly) -> int:
    """Operations of torch in one eager step, its batch included."""
    state = assembly.new_state()
    engine = EagerEngine(state, assembly.loader.batch, assembly.numerics)
    engine.advance(0.1)
    with OperationCounter() as counter:
        engine.advance(0.1)
    count: int = counter.count
    return count


def device_kernels(run: Callable[[int], int], numerics: Numerics) -> int | None:
    """Kernels that the GPU runs for one step, replayed ones included; None where there is no GPU."""
    if numerics.device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run(_PROFILED_STEPS)
        torch.cuda.synchronize(numerics.device)
    on_device = [event for event in profiled.events() or () if event.device_type == DeviceType.CUDA]
    kernels = [event for event in on_device if not event.name.startswith(("Memcpy", "Memset"))]
    return round(len(kernels) / _PROFILED_STEPS)
