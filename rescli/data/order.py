"""The order in which a run sees its training images.

Slots number the training examples of a run: slot = step * batch_size + place in the batch. Slot s
shows image ``epoch_order(...)[s % num_images]`` of epoch s // num_images. Batches run across the
border of epochs, so every batch is full and every epoch shows each image exactly once.
"""

from __future__ import annotations

import torch

from rescli.data.hashing import Stream, hash64

__all__ = ["SampleOrder", "batch_indices", "epoch_order"]


def epoch_order(
    num_images: int, *, seed: int, epoch: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """A permutation of 0 .. num_images - 1, int64 (num_images,): the same on every device.

    Image i is sorted by a hash of (seed, epoch, i). ``num_images`` is at most 2**32.
    """
    hashes = hash64(seed, Stream.ORDER, torch.arange(num_images, device=device) + (epoch << 32))
    # Stable, so that even equal hashes give one order everywhere.
    return torch.argsort(hashes, stable=True)


def batch_indices(
    step: int, *, batch_size: int, num_images: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(indices_B, slots_B)`` of one step, int64 on the CPU. For one look; a run keeps a ``SampleOrder``."""
    return SampleOrder(num_images, batch_size=batch_size, seed=seed).batch(step)


class SampleOrder:
    """Which images each step sees. Keeps the permutations of the epochs in use, on ``device``.

    Steps may be asked in any order; going forward costs one permutation per epoch, made on the device.
    ``batch_size`` may exceed ``num_images``: the batch then spans several epochs.
    """

    def __init__(
        self, num_images: int, *, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        if num_images < 1 or batch_size < 1:
            raise ValueError(f"needs at least one image and one per batch, got {num_images} and {batch_size}")
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self._orders: dict[int, torch.Tensor] = {}

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(indices_B, slots_B)`` of the step, int64 on the device; never waits for the device.

        Raises:
            ValueError: the step is negative.
        """
        first = step * self.batch_size
        return self.span(step, 1), torch.arange(first, first + self.batch_size, device=self.device)

    def span(self, step: int, steps: int) -> torch.Tensor:
        """The images of ``steps`` steps from ``step`` on, one after the other: int64 on the device.

        Raises:
            ValueError: the step is negative.
        """
        if step < 0:
            raise ValueError(f"steps count from 0, got {step}")
        first = step * self.batch_size
        end = first + steps * self.batch_size
        parts = []
        slot = first
        while slot < end:
            epoch, start = divmod(slot, self.num_images)
            length = min(self.num_images - start, end - slot)
            parts.append(self._order(epoch)[start : start + length])
            slot += length
        self._forget_all_but(first // self.num_images, (end - 1) // self.num_images)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, epoch: int) -> torch.Tensor:
        if epoch not in self._orders:
            # Sorted where it is used, so that the host runs on; Metal sorts no 64-bit integers.
            sorts = self.device if self.device.type in ("cpu", "cuda") else "cpu"
            order = epoch_order(self.num_images, seed=self.seed, epoch=epoch, device=sorts)
            self._orders[epoch] = order.to(self.device)
        return self._orders[epoch]

    def _forget_all_but(self, first_epoch: int, last_epoch: int) -> None:
        self._orders = {e: order for e, order in self._orders.items() if first_epoch <= e <= last_epoch}
