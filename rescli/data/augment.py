"""The paper's augmentation for CIFAR (section 4.2), for a whole batch in a few gathers.

"4 pixels are padded on each side, and a 32x32 crop is randomly sampled from the padded image or its
horizontal flip": the mean is subtracted first, so the padding is exactly 0 after normalization.
A flipped image is therefore cropped at (dy, dx) of the mirror image of its padded self.

Shapes: B images of a batch, N of the set, H x W pixels, C channels, P = pad.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rescli.data.hashing import Stream, stream_key
from rescli.data.normalization import Normalization
from rescli.kernels.crop.plain import PaddedImages, crop_flip_normalize, crop_flip_offsets

__all__ = ["PaddedImages", "crop_flip_key", "crop_flip_normalize", "crop_flip_parameters", "pad_images"]


def crop_flip_key(seed: int) -> int:
    """The key of the sequence from which crops and flips are drawn."""
    return stream_key(seed, Stream.CROP_FLIP)


def crop_flip_parameters(
    slots_B: torch.Tensor, *, seed: int, pad: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(dy_B, dx_B, flip_B)`` of each slot: int64 in [0, 2 * pad], int64 likewise, and bool.

    A pure function of (seed, slot), the same on every device; all three are uniform and independent.
    """
    return crop_flip_offsets(slots_B, key=crop_flip_key(seed), pad=pad)


def pad_images(
    images_NHWC: torch.Tensor,
    normalization: Normalization,
    *,
    pad: int,
    device: torch.device | str = "cpu",
) -> PaddedImages:
    """Pad uint8 (N, H, W, C) and put it on the device, once per run.

    Raises:
        ValueError: no images, a negative pad, or a mean image of another size.
    """
    num_images, height, width, channels = images_NHWC.shape
    if num_images == 0 or pad < 0:
        raise ValueError(f"needs at least one image and a pad of 0 or more, got {num_images} and {pad}")
    normalization.check_size(height, width)
    padded_height, padded_width = height + 2 * pad, width + 2 * pad
    padded = torch.zeros(
        (num_images, padded_height, padded_width, channels), dtype=torch.uint8, device=device
    )
    padded[:, pad : pad + height, pad : pad + width] = images_NHWC.to(device)
    num_starts = ((num_images - 1) * padded_height + 2 * pad) * padded_width + 2 * pad + 1
    windows = padded.as_strided(
        (num_starts, height, width * channels), (channels, padded_width * channels, 1)
    )
    std = normalization.std_C
    return PaddedImages(
        windows=windows,
        means=_mean_of_each_crop(normalization.mean_CHW.expand(-1, height, width), pad).to(device),
        std=None if std is None else std.repeat(height * width).to(device),
        size=(height, width, channels),
        pad=pad,
    )


def _mean_of_each_crop(mean_CHW: torch.Tensor, pad: int) -> torch.Tensor:
    """float32 (2 * (2P + 1)**2, H * W * C): row (flip, dy, dx) is the mean as that crop shows it."""
    channels, height, width = mean_CHW.shape
    padded = F.pad(mean_CHW, (pad, pad, pad, pad))
    crops = torch.stack(
        [
            view[:, dy : dy + height, dx : dx + width].permute(1, 2, 0)
            for view in (padded, padded.flip(2))
            for dy in range(2 * pad + 1)
            for dx in range(2 * pad + 1)
        ]
    )
    return crops.reshape(-1, height * width * channels)
