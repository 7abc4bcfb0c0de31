"""Saving beside the training: tensors are copied at once, and written by a thread while the run goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

__all__ = ["BackgroundWriter", "HostCopies"]

_MOST_WAITING = 2
"""Pieces of work that may wait: a state and the best checkpoint of one evaluation."""


@dataclass(frozen=True, eq=False)
class HostCopies:
    """Tensors as they were, contiguous on the CPU; of a GPU's, once ``wait`` has returned."""

    tensors: dict[str, torch.Tensor]
    _copied: torch.cuda.Event | None

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> HostCopies:
        """Queue the copies behind what the device still has to do; the host does not wait."""
        devices = {tensor.device for tensor in tensors.values() if tensor.is_cuda}
        if not devices:
            # Made contiguous here and not by the writer: torch's operations in a second thread would compete
            # for the cores of the CPU.
            contiguous = torch.contiguous_format
            copies = {name: t.detach().clone(memory_format=contiguous).cpu() for name, t in tensors.items()}
            return cls(copies, None)
        (device,) = devices
        copies = _pinned(tensors)
        for name, tensor in tensors.items():
            copies[name].copy_(tensor.detach(), non_blocking=True)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(device))
        return cls(copies, copied)

    def wait(self) -> None:
        if self._copied is not None:
            self._copied.synchronize()


def _pinned(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Room for each of them, in one allocation for each type: pinning memory takes its time."""
    rooms: dict[str, torch.Tensor] = {}
    for dtype in {tensor.dtype for tensor in tensors.values()}:
        group = {name: tensor for name, tensor in tensors.items() if tensor.dtype is dtype}
        whole = torch.empty(sum(t.numel() for t in group.values()), dtype=dtype, pin_memory=True)
        parts = torch.split(whole, [tensor.numel() for tensor in group.values()])
        rooms |= {name: part.view(group[name].shape) for name, part in zip(group, parts, strict=True)}
    return rooms


class BackgroundWriter:
    """Does one piece of work after the other in a thread of its own.

    Args:
        check: called before each piece; what it raises takes its place.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rescli-writer")
        self._waiting: deque[Future[None]] = deque()

    def submit(self, work: Callable[[], None]) -> None:
        """Queue it; waits only where too much is queued already.

        Raises:
            What an earlier piece of work raised, if nobody was told yet; ``work`` is dropped then.
        """
        self._settle(_MOST_WAITING - 1)
        self._waiting.append(self._thread.submit(self._checked, work))

    def _checked(self, work: Callable[[], None]) -> None:
        self._check()
        work()

    def wait(self) -> None:
        """Until all is done.

        Raises:
            What a piece of work raised, if nobody was told yet.
        """
        self._settle(0)

    def close(self) -> None:
        """Finish what is queued and end the thread; nothing is raised."""
        self._thread.shutdown()

    def _settle(self, most: int) -> None:
        while self._waiting and (len(self._waiting) > most or self._waiting[0].done()):
            failure = self._waiting.popleft().exception()
            if failure is not None:
                # What was queued behind it came after a state that is not there.
                while self._waiting:
                    self._waiting.popleft().exception()
                raise failure
