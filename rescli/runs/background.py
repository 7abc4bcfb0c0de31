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
        copies = {name: _copy(tensor.detach()) for name, tensor in tensors.items()}
        if not any(tensor.is_cuda for tensor in tensors.values()):
            return cls(copies, None)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()
        return cls(copies, copied)

    def wait(self) -> None:
        if self._copied is not None:
            self._copied.synchronize()


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    # Made contiguous here and not by the writer: torch's operations in a second thread would compete for
    # the cores of the CPU.
    if not tensor.is_cuda:
        return tensor.clone(memory_format=torch.contiguous_format).cpu()
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)


class BackgroundWriter:
    """Does one piece of work after the other in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rescli-writer")
        self._waiting: deque[Future[None]] = deque()

    def submit(self, work: Callable[[], None]) -> None:
        """Queue it; waits only where too much is queued already.

        Raises:
            What an earlier piece of work raised, if nobody was told yet; ``work`` is dropped then.
        """
        self._settle(_MOST_WAITING - 1)
        self._waiting.append(self._thread.submit(work))

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
