"""The paper's augmentation for CIFAR (section 4.2), for a whole batch in a few gathers.

"4 pixels are padded on each side, and a 32x32 crop is randomly sampled from the padded image or its
horizontal flip": the mean is subtracted first, so the padding is exactly 0 after normalization.
A flipped image is therefore cropped at (dy, dx) of the mirror image of its padded self.

Shapes: B images of a batch, N of the set, H x W pixels, C channels, P = pad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F

from rescli.data.hashing import Stream, hash64, uniform_below
from rescli.data.normalization import Normalization, full_scale

__all__ = ["PaddedImages", "crop_flip_normalize", "crop_flip_parameters"]


def crop_flip_parameters(
    slots_B: torch.Tensor, *, seed: int, pad: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(dy_B, dx_B, flip_B)`` of each slot: int64 in [0, 2 * pad], int64 likewise, and bool.

    A pure function of (seed, slot), the same on every device; all three are uniform and independent.
    """
    hashes = hash64(seed, Stream.CROP_FLIP, slots_B)
    dy = uniform_below(hashes, 2 * pad + 1, low_bit=40)
    dx = uniform_below(hashes, 2 * pad + 1, low_bit=16)
    return dy, dx, (hashes & 1) == 1


@dataclass(frozen=True, eq=False)
class PaddedImages:
    """A training set laid out so that any crop of any image is one row.

    windows: uint8 (num_starts, H, W * C), an overlapping view of the padded set: row
        ``(image * (H + 2P) + dy) * (W + 2P) + dx`` is the crop at (dy, dx). Costs no memory of its
        own; the padded set takes N * (H + 2P) * (W + 2P) * C bytes (216 MB for 45k at P = 4).
    means: float32 (2 * (2P + 1)**2, H * W * C), the mean under each crop, 0 in the padding; the
        second half mirrored (2 MB at P = 4).
    std: float32 (H * W * C,), or None.
    size: (H, W, C).
    """

    windows: torch.Tensor
    means: torch.Tensor
    std: torch.Tensor | None
    size: tuple[int, int, int]
    pad: int

    @classmethod
    def from_images(
        cls,
        images_NHWC: torch.Tensor,
        normalization: Normalization,
        *,
        pad: int,
        device: torch.device | str = "cpu",
    ) -> Self:
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
        return cls(
            windows=windows,
            means=_mean_of_each_crop(normalization.mean_CHW.expand(-1, height, width), pad).to(device),
            std=None if std is None else std.repeat(height * width).to(device),
            size=(height, width, channels),
            pad=pad,
        )


def crop_flip_normalize(
    images: PaddedImages,
    indices_B: torch.Tensor,
    dy_B: torch.Tensor,
    dx_B: torch.Tensor,
    flip_B: torch.Tensor | None,
) -> torch.Tensor:
    """Gather, crop, flip and normalize one batch; ``flip_B`` None flips none.

    Reads nothing back to the host: it can be captured in a CUDA graph.

    Returns:
        float32 (B, C, H, W), channels-last; bit for bit ``Normalization.apply``, then zero padding,
        then the flip, then the crop.
    """
    height, width, channels = images.size
    pad, num_offsets = images.pad, 2 * images.pad + 1
    crop_B = dy_B * num_offsets + dx_B
    if flip_B is not None:
        # The crop at dx of the mirror image is the mirrored crop at 2 * pad - dx of the image.
        dx_B = torch.where(flip_B, 2 * pad - dx_B, dx_B)
        crop_B = crop_B + flip_B * num_offsets**2
    start_B = (indices_B * (height + 2 * pad) + dy_B) * (width + 2 * pad) + dx_B
    # index_select copies whole rows: four times as fast here as windows[start_B].
    pixels = images.windows.index_select(0, start_B).view(-1, height, width, channels)
    if flip_B is not None:
        # Choosing whole rows from both versions is four times as fast as torch.where on the pixels.
        both = torch.cat([pixels, pixels.flip(2)]).flatten(1)
        place_B = torch.arange(len(flip_B), device=flip_B.device)
        pixels = both.index_select(0, place_B + flip_B * len(flip_B))
    x = pixels.flatten(1).to(torch.float32).div_(full_scale(pixels.device))
    x.sub_(images.means.index_select(0, crop_B))
    if images.std is not None:
        x.div_(images.std)
    return x.view(-1, height, width, channels).permute(0, 3, 1, 2)


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
