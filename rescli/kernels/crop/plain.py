"""A batch of augmented images from the padded set, in a few gathers. Plain torch.

``crop_triton`` has ``crop_flip_batch`` as one kernel, with the same bits. ``rescli.data.augment`` says
what is drawn and why.

Shapes: B images of a batch, N of the set, H x W pixels, C channels, P = pad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from rescli.kernels.splitmix import sequence64, uniform_below

__all__ = [
    "CropFlipBatch",
    "PaddedImages",
    "crop_flip_batch",
    "crop_flip_normalize",
    "crop_flip_offsets",
    "full_scale",
]


@dataclass(frozen=True, eq=False)
class PaddedImages:
    """A training set laid out so that any crop of any image is one row.

    Args:
        windows: uint8 (num_starts, H, W * C), an overlapping view of the padded set: row ``(image * (H
            + 2P) + dy) * (W + 2P) + dx`` is the crop at (dy, dx). Costs no memory of its own; the
            padded set takes N * (H + 2P) * (W + 2P) * C bytes (216 MB for 45k at P = 4).
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


class CropFlipBatch(Protocol):
    """What a loader calls for each batch."""

    def __call__(
        self,
        images: PaddedImages,
        labels_N: torch.Tensor,
        indices_B: torch.Tensor,
        slots_B: torch.Tensor,
        *,
        key: int,
        flip: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The call of ``crop_flip_batch``, which all of them equal."""


def crop_flip_batch(
    images: PaddedImages,
    labels_N: torch.Tensor,
    indices_B: torch.Tensor,
    slots_B: torch.Tensor,
    *,
    key: int,
    flip: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of given images and slots, int64 both. Reads nothing back to the host.

    Args:
        key: of the sequence of random numbers; the slots are places in it.
        flip: False flips none.

    Returns:
        ``(images, labels)``: float32 (B, C, H, W) in channels-last, and int64 (B,).
    """
    dy, dx, flips = crop_flip_offsets(slots_B, key=key, pad=images.pad)
    batch = crop_flip_normalize(images, indices_B, dy, dx, flips if flip else None)
    return batch, labels_N.index_select(0, indices_B)


def crop_flip_offsets(
    slots_B: torch.Tensor, *, key: int, pad: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(dy_B, dx_B, flip_B)`` of each slot: int64 in [0, 2 * pad], int64 likewise, and bool."""
    hashes = sequence64(key, slots_B)
    dy = uniform_below(hashes, 2 * pad + 1, low_bit=40)
    dx = uniform_below(hashes, 2 * pad + 1, low_bit=16)
    return dy, dx, (hashes & 1) == 1


def crop_flip_normalize(
    images: PaddedImages,
    indices_B: torch.Tensor,
    dy_B: torch.Tensor,
    dx_B: torch.Tensor,
    flip_B: torch.Tensor | None,
) -> torch.Tensor:
    """Gather, crop, flip and normalize one batch; ``flip_B`` None flips none.

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


def full_scale(device: torch.device) -> torch.Tensor:
    """255 as a float32 tensor (1,). CUDA multiplies by 1 / 255 where the divisor is a host number,
    which rounds differently from the CPU; a tensor is divided by on both."""
    return torch.full((1,), 255.0, device=device)
