"""Several processes that train one network: who they are, and what they must agree on.

They are started by torch's own launcher (``torchrun``, or rescli's ``nproc``), which says in the environment
who is who. Every rank holds the whole state and computes its share of each batch; rank 0 alone writes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from rescli.errors import RescliError, UsageError, first_line
from rescli.hardware.launcher import JOINING, check_complete, local_rank, num_ranks, share_of

__all__ = ["ALONE", "Ranks", "is_lost_rank", "join_ranks", "leave_ranks", "rank_device"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS, _LAUNCHED_PATIENCE_SECONDS = 100, 1800
"""How long others may take: they may not exist; or torch's launcher began them, and one is slow to start."""

_READING_PATIENCE_SECONDS = 24 * 3600
"""How long rank 0 may read images: hours, where they come over a slow network."""

_SIGNS_OF_LOSS = ("gloo", "NCCL", "Connection reset", "Connection closed", "Timed out", "Broken pipe")
"""In the messages of collectives that could not be done; they are no type of their own."""

_LOOK_SECONDS = 0.2
"""How long a signal may go unanswered."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """The places of this rank's images in a batch.

        Raises:
            UsageError: the batch cannot be shared evenly.
        """
        own = share_of(batch_size, self.size)
        return slice(self.rank * own, (self.rank + 1) * own)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank; all learn the same."""
        if self.size == 1:
            return flag
        told = torch.tensor(int(flag))
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told)

    def from_first(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on every rank; so a data set is read once, and not by each.

        Raises:
            RescliError: what rank 0 raised; all raise the same.
        """
        if self.size == 1:
            return make()
        made: list[tuple[T | None, RescliError | None] | None] = [None]
        if self.is_first:
            try:
                made = [(make(), None)]
            except RescliError as error:
                made = [(None, error)]
        group = dist.new_group(backend="gloo", timeout=timedelta(seconds=_READING_PATIENCE_SECONDS))
        assert isinstance(group, dist.ProcessGroup), "every rank is in it"
        _heedful(lambda: dist.broadcast_object_list(made, 0, group=group))
        assert made[0] is not None, "it was sent"
        whole, failure = made[0]
        if failure is not None:
            raise failure
        return cast(T, whole)

    def total(self, figures: torch.Tensor) -> torch.Tensor:
        """The mean loss and the sum of correct images over all ranks: float32 (2,), in place."""
        if self.size > 1:
            figures[0] /= self.size
            dist.all_reduce(figures)
        return figures

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over the ranks; its statistics are those of rank 0."""
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        return nn.parallel.DistributedDataParallel(
            model, device_ids=[device.index] if device.type == "cuda" else None
        )

    def same_buffers(self, model: nn.Module) -> None:
        """Give every rank the batch statistics of rank 0, as an evaluation needs them."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def together(self, part: torch.Tensor, count: int) -> torch.Tensor:
        """Put the rows of all ranks together, where each has those of every ``size``-th image.

        Args:
            part: this rank's rows.
            count: the images of all ranks.

        Returns:
            (count, ...), the same on every rank.
        """
        if self.size == 1:
            return part
        parts: list[torch.Tensor | None] = [None] * self.size
        dist.all_gather_object(parts, part)
        whole = part.new_empty((count, *part.shape[1:]))
        for rank, rows in enumerate(parts):
            assert rows is not None
            whole[rank :: self.size] = rows
        return whole


ALONE = Ranks()


def join_ranks(device: torch.device) -> Ranks:
    """Who this process is, by what the launcher put into the environment; waits for the others.

    Where torch's own launcher did not begin this process, the others may not exist at all: the wait is
    announced, and ends after ``_PATIENCE_SECONDS``.

    Raises:
        UsageError: the environment cannot be right.
        RescliError: the others cannot be reached.
    """
    size = num_ranks()
    if size == 1:
        return ALONE
    check_complete()
    seconds = _PATIENCE_SECONDS
    if dist.is_torchelastic_launched():
        seconds = _LAUNCHED_PATIENCE_SECONDS
    elif not dist.is_initialized():
        _log.warning(
            "waiting up to %d s for the other %d of %d processes, since the environment says WORLD_SIZE=%d "
            "RANK=%s (at %s:%s); if that was left over: unset WORLD_SIZE RANK",
            *(seconds, size - 1, size, size, os.environ["RANK"]),
            *(os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]),
        )
    try:
        if not dist.is_initialized():
            _heedful(lambda: _join(device, timedelta(seconds=seconds)))
    except (RuntimeError, ValueError) as error:
        reason = first_line(error)
        if "EADDRINUSE" in str(error):
            port = os.environ["MASTER_PORT"]
            raise UsageError(
                f"MASTER_PORT={port} of this machine is in use, perhaps by another training.",
                hint="set MASTER_PORT to another port, the same for all processes",
                page="port-in-use-or-world_size-left-over",
            ) from error
        raise RescliError(
            f"the {size} processes cannot reach each other: {reason}",
            hint="begin all of them with torchrun; or unset WORLD_SIZE RANK, to train in one process",
            page="port-in-use-or-world_size-left-over",
        ) from error
    return Ranks(dist.get_rank(), size)


def _join(device: torch.device, patience: timedelta) -> None:
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT") or "0"
    store, rank, size = next(rendezvous("env://", timeout=patience))
    # Begun anew, nobody must find an address of the attempt before.
    store = PrefixStore(f"rescli-{attempt}", store)
    # Flags and evaluated logits lie on the CPU, gradients on the device: one group serves both.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)


def _heedful(work: Callable[[], object]) -> None:
    """Do it in a thread: torch waits in C++, where no handler of a signal is run; here it may raise."""
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, name=JOINING, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
    if failures:
        raise failures[0]


def leave_ranks() -> None:
    """Wait until all have come to their end: what one of them serves, the others may still need."""
    if dist.is_initialized():
        _heedful(lambda: dist.all_reduce(torch.zeros(1)))


def is_lost_rank(error: BaseException) -> bool:
    """Whether an error of torch says that another process is gone, or did not answer in time."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS_OF_LOSS)


def rank_device(requested: str) -> str:
    """``cuda:K`` of the K-th process of a machine, where CUDA is asked for and none by number."""
    local = local_rank()
    if local is None:
        return requested
    if requested == "cuda" or (requested == "auto" and torch.cuda.is_available()):
        return f"cuda:{local}"
    return requested
