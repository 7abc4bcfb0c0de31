"""The engine that launches a whole step at once: one CUDA graph from the order of the images to the metrics.

Images are picked and augmented, the network runs forward and backward, the parameters are updated, the
figures are written and the counters move, all within the graph; the host replays it and runs ahead. At small
batches an eager step waits for the host most of the time: about ten launches a convolution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rescli.errors import first_line
from rescli.hardware.numerics import Numerics
from rescli.training.engines.capture import Capturer, NotCapturable, Operations, Snapshot
from rescli.training.engines.forward import RecordedForward
from rescli.training.state import TrainState
from rescli.training.step import train_step

__all__ = ["ORDER_STEPS", "GraphEngine"]

ORDER_STEPS = 512
"""Steps whose images are listed on the device at a time: 0.5 MB at a batch of 128."""

WARMUP_STEPS = 3
"""Eager steps before a recording: libraries choose their algorithms, kernels are compiled."""

TOLERANCE = 1e-3
"""Largest relative difference of a loss between the recorded step and the eager one on the same state."""


class GraphEngine:
    """Advances a state by one iteration at a time, by replaying what was recorded when it was made."""

    def __init__(
        self,
        state: TrainState,
        *,
        order: Callable[[int, int], torch.Tensor],
        gather: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
        batch_size: int,
        numerics: Numerics,
        capturer: Capturer,
        model: nn.Module | None = None,
        name: str = "graph",
    ) -> None:
        """Record the step; the state is afterwards what it was, bit for bit.

        Args:
            order: (first step, steps) -> indices of their images, int64 (steps * batch_size,).
            gather: (indices_B, slots_B) -> (images, labels), made of operations that can be recorded.
            model: what runs in place of ``state.model``, on its parameters: a compiled one.

        Raises:
            NotCapturable: the step cannot be recorded, or what was recorded computes something else.
        """
        device = state.ring.device
        self.name = name
        self.forward = RecordedForward(state.model, numerics, capturer)
        self._state, self._order, self._gather = state, order, gather
        self._batch_size, self._numerics = batch_size, numerics
        self._model = state.model if model is None else model
        self._lr = torch.zeros((), device=device)
        self._orders = torch.zeros((ORDER_STEPS, batch_size), dtype=torch.int64, device=device)
        self._places = torch.arange(batch_size, device=device)
        # Three counters in one tensor, so that one operation moves them: the step, the row of ``_orders``
        # and the row of the ring. Of shape (1,) each: a tensor without dimensions as an index is read by
        # the host.
        self._counters = torch.zeros(3, dtype=torch.int64, device=device)
        self._step, self._order_row, self._ring_row = (self._counters[i : i + 1] for i in range(3))
        self._held_lr: float | None = None
        self._counted = [-1, -1, -1]
        self._listed_from = -1
        self._replay = self._recorded(capturer)

    def advance(self, lr: float) -> None:
        """Do one iteration at learning rate ``lr`` and write its figures into the ring."""
        self._prepare(lr)
        self._replay()
        self._counted = [count + 1 for count in self._counted]
        self._state.step += 1

    def _prepare(self, lr: float) -> None:
        """Bring up to date what the recorded step reads: nothing to do from one step to the next."""
        step = self._state.step
        if not self._listed_from <= step < self._listed_from + ORDER_STEPS or self._listed_from < 0:
            self._orders.copy_(self._order(step, ORDER_STEPS).view_as(self._orders))
            self._listed_from = step
        if lr != self._held_lr:
            self._lr.fill_(lr)
            self._held_lr = lr
        wanted = [step, step - self._listed_from, self._state.window_length]
        if wanted != self._counted:
            for place, value in enumerate(wanted):
                self._counters[place].fill_(value)
            self._counted = wanted

    def _one_step(self) -> None:
        """All of it on the device; every number that changes from step to step is read from there."""
        indices_B = self._orders.index_select(0, self._order_row).view(-1)
        slots_B = torch.add(self._places, self._step, alpha=self._batch_size)
        images_NCHW, labels_N = self._gather(indices_B, slots_B)
        figures = train_step(
            self._model, self._state.optimizer, images_NCHW, labels_N, numerics=self._numerics
        )
        self._state.ring.index_copy_(0, self._ring_row, figures[None])
        self._counters.add_(1)

    def _recorded(self, capturer: Capturer) -> Callable[[], None]:
        groups = self._state.optimizer.param_groups
        lr = float(groups[0]["lr"])
        snapshot = Snapshot(self._state)
        for group in groups:
            group["lr"] = self._lr
        try:
            with capturer.aside():
                eager = [self._tried(self._one_step, trial, lr) for trial in range(WARMUP_STEPS)]
                if self._model is self._state.model:  # a compiled one shows no operations
                    snapshot.restore()
                    self._look_at_operations(lr)
                snapshot.restore()
            self._aim(0, lr)
            try:
                replay = capturer.record(self._one_step)
            except (RuntimeError, TypeError, ValueError) as error:
                reason = first_line(error)
                raise NotCapturable(reason) from error
            snapshot.restore()
            replayed = [self._tried(replay, trial, lr) for trial in range(WARMUP_STEPS)]
            _check_alike(torch.stack(eager), torch.stack(replayed))
            snapshot.restore()
        except BaseException:
            snapshot.undo()
            raise
        self._counted = [-1, -1, -1]
        return replay

    def _tried(self, work: Callable[[], None], trial: int, lr: float) -> torch.Tensor:
        """The figures of one step of the trial, float32 (2,), still on the device."""
        self._aim(trial, lr)
        work()
        return self._state.ring[0].clone()

    def _aim(self, trial: int, lr: float) -> None:
        """At so many steps from where the run stands, and always at the ring's first row."""
        state = self._state
        before = state.step, state.window_start
        state.step += trial
        state.window_start = state.step
        self._counted = [-1, -1, -1]
        self._prepare(lr)
        state.step, state.window_start = before

    def _look_at_operations(self, lr: float) -> None:
        lists = []
        for trial in range(2):
            with Operations() as operations:
                self._tried(self._one_step, trial, lr)
            lists.append(operations.names)
        if lists[0] != lists[1]:
            raise NotCapturable("a step launches other operations than the step before it")


def _check_alike(eager: torch.Tensor, replayed: torch.Tensor) -> None:
    difference = float(((eager - replayed).abs() / eager.abs().clamp(min=1e-3))[:, 0].max())
    # Not "above": a loss that is no number compares as false.
    if not difference <= TOLERANCE:
        raise NotCapturable(
            f"the recorded step differs from the eager one by {difference:.1e} of the loss, more than "
            f"{TOLERANCE:g}"
        )
