"""Whether a training step can be recorded once and replayed, and what it takes to leave no trace of trying.

A recorded step repeats the same operations at the same addresses: numbers that Python held while it was
recorded are frozen into it, and nothing in it may wait for the host.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.training.state import TrainState

__all__ = ["Capturer", "CudaCapturer", "NotCapturable", "Operations", "Snapshot"]

_TORCH = Path(torch.__file__).parent
_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
_BEGIN_AT_ZERO = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")
"""State that optimizers make at their first step, as if it had been zero before."""
_WAITING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class NotCapturable(Exception):
    """The step cannot be recorded; the message names the operation and where it stands."""


class Capturer(Protocol):
    """What records work of the device and plays it again."""

    def aside(self) -> AbstractContextManager[None]:
        """Where work runs that warms up for a recording."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Run ``work`` once without its effects; what is returned repeats it, with them."""


class CudaCapturer:
    """One ``torch.cuda.CUDAGraph`` for each recording."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Warm-up and recording on the same stream: autograd remembers on which one a gradient is added.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def aside(self) -> Iterator[None]:
        outside = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:  # what undoes a trial that failed must come after it
            outside.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        outside, cause = torch.cuda.current_stream(self._device), None
        try:
            # Other threads write checkpoints and pin images meanwhile: only this one must not wait.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                try:
                    work()
                except Exception as error:
                    cause = error
                    raise
        except RuntimeError as error:
            # torch's own end of a capture that failed hides the cause and stays on its stream.
            torch.cuda.set_stream(outside)
            raise cause or error from None
        return graph.replay


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lists the operations of a block and refuses those whose result the host would have to wait for.

    Raises:
        NotCapturable: from within the block, at the first such operation.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = str(func)
        self.names.append(name)
        if _WAITING & set(func.tags) and not _by_numbers(func, args):
            raise NotCapturable(f"{name} makes the host wait for a value ({_where()})")
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            given = [value for value in (*args, *(kwargs or {}).values()) if isinstance(value, torch.Tensor)]
            if out.device.type == "cpu" and any(value.is_cuda for value in given):
                raise NotCapturable(f"{name} copies from the device to the host ({_where()})")
            # A number on its way into an operation is no copy.
            if func in _COPIES and out.is_cuda and any(not v.is_cuda and not v.is_pinned() for v in given):
                raise NotCapturable(f"{name} copies from the host to the device ({_where()})")
        return out


class Snapshot:
    """Everything of a state that a step changes, to be put back in place."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._kept = {id(tensor): (tensor, tensor.detach().clone()) for tensor in _changing(state)}
        self._optimizer = {key: dict(values) for key, values in state.optimizer.state.items()}
        self._lrs = [group["lr"] for group in state.optimizer.param_groups]
        on_cuda = state.ring.device.type == "cuda"
        self._generator = torch.cuda.get_rng_state(state.ring.device) if on_cuda else torch.get_rng_state()

    @torch.no_grad()
    def restore(self) -> None:
        """Put every tensor back, at its address, and forget gradients.

        What an optimizer made since then stays and becomes zero, as the first value of a moment is.

        Raises:
            NotCapturable: it made something else, or counts on the host, where no recording can count.
        """
        self._put_back()
        for parameter, values in self._state.optimizer.state.items():
            before = self._optimizer.get(parameter, {})
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    if id(value) in self._kept:
                        continue
                    if name not in _BEGIN_AT_ZERO:
                        raise NotCapturable(f"the optimizer makes its {name} as it goes")
                    value.zero_()
                elif before.get(name) != value:
                    raise NotCapturable("the optimizer keeps numbers of its own on the host")

    def undo(self) -> None:
        """As if no step had been tried: what an optimizer made since then is gone."""
        self._put_back()
        state = self._state.optimizer.state
        for parameter in list(state):
            if parameter not in self._optimizer:
                del state[parameter]
            else:
                kept = self._optimizer[parameter]
                state[parameter].clear()
                state[parameter].update(kept)
        for group, lr in zip(self._state.optimizer.param_groups, self._lrs, strict=True):
            group["lr"] = lr

    @torch.no_grad()
    def _put_back(self) -> None:
        for tensor, content in self._kept.values():
            tensor.copy_(content)
        for parameter in self._state.model.parameters():
            parameter.grad = None
        if self._state.ring.device.type == "cuda":
            torch.cuda.set_rng_state(self._generator, self._state.ring.device)
        else:
            torch.set_rng_state(self._generator)


def _by_numbers(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it is an indexing without masks, whose result has a known shape."""
    if func not in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default):
        return False
    return all(index is None or index.dtype in (torch.int64, torch.int32) for index in args[1])


def _changing(state: TrainState) -> list[torch.Tensor]:
    tensors = [*state.model.parameters(), *state.model.buffers(), state.ring]
    for values in state.optimizer.state.values():
        tensors += [value for value in values.values() if isinstance(value, torch.Tensor)]
    return tensors


def _where() -> str:
    """The innermost line that is neither torch's nor this module's: a plugin's, as a rule."""
    frames = [frame for frame in traceback.extract_stack() if _TORCH not in Path(frame.filename).parents]
    outside = [frame for frame in frames if frame.filename != __file__]
    if not outside:  # a GPU's gradients are computed in a thread of torch's own
        return "in the backward pass"
    frame = outside[-1]
    return f"in {frame.name}, {Path(frame.filename).name}:{frame.lineno}"
