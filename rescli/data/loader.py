"""Batches from a set that lies on the device whole: nothing waits for the host."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rescli.data.augment import crop_flip_key, pad_images
from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.kernels.choice import KernelName, crop_flip_function

__all__ = ["DeviceLoader"]


class DeviceLoader:
    """Augmented training batches; ``batch(step)`` is a pure function of the step.

    The padded uint8 set stays on ``device`` (216 MB for 45k CIFAR images). ``pad=0, flip=False``
    turns the augmentation off.
    """

    waited_seconds = None
    """No step waits for images: all lie on the device."""

    def __init__(
        self,
        image_set: ImageSet,
        normalization: Normalization,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        pad: int,
        flip: bool,
        share: slice = slice(None),
        kernels: KernelName = "plain",
    ) -> None:
        """Pad the images and put them on the device.

        Args:
            image_set: the training part.
            normalization: its statistics.
            batch_size: images per step, of all processes together.
            seed: decides order, crops and flips.
            device: where images and batches are to be.
            pad: zero pixels on each side before the random crop.
            flip: mirror half of the images.
            share: the places of each batch that this process computes; all of them unless several train.
            kernels: triton gathers by one kernel, with the same bits; see ``rescli.kernels.choice``.

        Raises:
            ValueError: the set is empty or of another size than the mean image.
            RuntimeError: kernels without Triton.
        """
        self._share = share
        self.batch_size = batch_size
        self.num_images = len(image_set)
        self.damaged: set[str] = set()
        """Always empty: no image has to be decoded."""
        self.should_stop: Callable[[], bool] = lambda: False
        self.seed = seed
        self.pad = pad
        self.flip = flip
        self.order = SampleOrder(self.num_images, batch_size=batch_size, seed=seed, device=device)
        self._images = pad_images(image_set.images_NHWC, normalization, pad=pad, device=device)
        self._labels_N = image_set.labels_N.to(device)
        self._crop_flip = crop_flip_function(kernels)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(images_NCHW, labels_B)`` of the step: float32 in channels-last, and int64.

        On CUDA the host only queues work.

        Raises:
            ValueError: the step is negative.
        """
        indices_B, slots_B = self.order.batch(step)
        return self.gather(indices_B[self._share], slots_B[self._share])

    def indices(self, step: int, steps: int) -> torch.Tensor:
        """The images of ``steps`` steps from ``step`` on: int64 (steps * batch_size,) on the device."""
        return self.order.span(step, steps)

    def gather(self, indices_B: torch.Tensor, slots_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of given images and slots (int64 on the device); fit for a CUDA graph."""
        return self._crop_flip(
            self._images, self._labels_N, indices_B, slots_B, key=crop_flip_key(self.seed), flip=self.flip
        )
