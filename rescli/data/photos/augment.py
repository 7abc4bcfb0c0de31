"""The paper's augmentation for ImageNet (section 3.4), drawn for a whole batch, image by image.

"The image is resized with its shorter side randomly sampled in [256, 480] for scale augmentation. A
224x224 crop is randomly sampled from an image or its horizontal flip, with the per-pixel mean subtracted. The
standard color augmentation in [21] is used": [21] is AlexNet (Krizhevsky et al. 2012, section 4.1).

The host decodes, resizes and crops to bytes; flip, colour and normalisation are the device's.
Shapes: B images of a batch, S = side of the crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from rescli.data.hashing import Stream, hash64, uniform_below
from rescli.data.normalization import Normalization

__all__ = ["PhotoDraws", "PhotoFinish", "crop_pixels", "draw_photos"]

_FRACTION_BITS = 24

_EIGENVALUES = (0.2175, 0.0188, 0.0045)
_EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Eigenvectors of the covariance of ImageNet's RGB values in [0, 1]: a row per colour, a column each.

As fb.resnet.torch (datasets/imagenet.lua) has them; AlexNet's paper gives no numbers.
"""


@dataclass(frozen=True, eq=False)
class PhotoDraws:
    """What is drawn for each image of a batch, on the CPU.

    Args:
        sides_B: int64, the shorter side after resizing, in pixels.
        top_B: int64, in 2**24 parts of the margin above and below the crop.
        left_B: int64, in 2**24 parts of the margin beside it.
        flip_B: bool, whether it is mirrored.
        shift_BC: float32 (B, 3), added to red, green and blue in units of pixel / 255.
    """

    sides_B: torch.Tensor
    top_B: torch.Tensor
    left_B: torch.Tensor
    flip_B: torch.Tensor
    shift_BC: torch.Tensor


def draw_photos(
    slots_B: torch.Tensor, *, seed: int, shorter_side: tuple[int, int], flip: bool, color: float
) -> PhotoDraws:
    """A pure function of (seed, slot); a slot is an image of an epoch (``rescli.data.order``).

    Args:
        shorter_side: smallest and largest, both included; uniform over the whole numbers between.
        color: standard deviation of the three components' factors, 0.1 in AlexNet; 0 leaves colours alone.
    """
    low, high = shorter_side
    first = hash64(seed, Stream.PHOTO, slots_B * 2)
    second = hash64(seed, Stream.PHOTO, slots_B * 2 + 1)
    return PhotoDraws(
        sides_B=low + uniform_below(first, high - low + 1, low_bit=40),
        top_B=uniform_below(second, 1 << _FRACTION_BITS, low_bit=40),
        left_B=uniform_below(second, 1 << _FRACTION_BITS, low_bit=16),
        flip_B=(first & 1) == 1 if flip else torch.zeros(len(slots_B), dtype=torch.bool),
        shift_BC=_color_shift(slots_B, seed, color),
    )


def crop_pixels(image: Image.Image, *, side: int, top: int, left: int, size: int) -> np.ndarray:
    """uint8 (S, S, 3): the image with that shorter side, cropped at fractions ``top`` and ``left``.

    Only the crop is resized, for a third of the work of resizing all and cropping. Pillow keeps the box in
    single precision, so some 2 % of the values differ from that by a level of 255, a few by two.
    """
    width, height = image.size
    # As rescli.evaluation.images.views.resized_size: the longer side is rounded down.
    new_width = side if width <= height else side * width // height
    new_height = side if height <= width else side * height // width
    x = (left * (new_width - size + 1)) >> _FRACTION_BITS
    y = (top * (new_height - size + 1)) >> _FRACTION_BITS
    scale_x, scale_y = width / new_width, height / new_height
    box = (x * scale_x, y * scale_y, min((x + size) * scale_x, width), min((y + size) * scale_y, height))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


class PhotoFinish:
    """Flip, shift colours and normalise, on the device; what is the same for every batch is put there once.

    ``(pixel / 255 + shift - mean) / std``, as one product and one sum, to a rounding of float32.
    """

    def __init__(
        self, normalization: Normalization, *, height: int, width: int, device: torch.device | str
    ) -> None:
        """Keep the statistics on the device.

        Raises:
            ValueError: a mean image of another size than the images.
        """
        normalization.check_size(height, width)
        std_C = torch.ones(3) if normalization.std_C is None else normalization.std_C
        # Rows of width * 3 numbers: a last dimension of three would be walked number by number.
        mean_CHW = normalization.mean_CHW / std_C[:, None, None]
        self._mean_C = self._mean_HR = None
        if mean_CHW.shape[1:] == (1, 1):
            self._mean_C = mean_CHW.flatten().to(device)
        else:
            self._mean_HR = mean_CHW.permute(1, 2, 0).reshape(height, width * 3).to(device)
        self._std_C = std_C.to(device)
        self._scale_R = (1 / (255 * std_C)).repeat(width).to(device)

    def __call__(
        self, pixels_BSSC: torch.Tensor, flipped: torch.Tensor, shift_BC: torch.Tensor
    ) -> torch.Tensor:
        """float32 (B, 3, S, S), channels-last, of uint8 pixels, which it overwrites.

        Args:
            flipped: int64, which of the images are mirrored.
        """
        batch, height, width, _ = pixels_BSSC.shape
        pixels_BSSC.index_copy_(0, flipped, pixels_BSSC.index_select(0, flipped).flip(2))
        shift_BC = shift_BC / self._std_C
        x = pixels_BSSC.view(batch, height, width * 3).to(torch.float32)
        x.mul_(self._scale_R)
        if self._mean_C is not None:
            shift_BC = shift_BC - self._mean_C
        if self._mean_HR is not None:
            x.sub_(self._mean_HR)
        x.add_(shift_BC.repeat(1, width)[:, None, :])
        return x.view(batch, height, width, 3).permute(0, 3, 1, 2)


def _color_shift(slots_B: torch.Tensor, seed: int, color: float) -> torch.Tensor:
    """[p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T with a ~ N(0, color): one draw for an image."""
    if color == 0:
        return torch.zeros(len(slots_B), 3)
    uniform = [
        ((hash64(seed, Stream.COLOR, slots_B * 4 + k) >> 11) & ((1 << 53) - 1)).double() / 2**53
        for k in range(4)
    ]
    # Box and Muller (1958): two uniforms give two normals; the fourth is not needed.
    radius = [(-2 * torch.log1p(-u)).sqrt() for u in (uniform[0], uniform[2])]
    angle = [2 * math.pi * u for u in (uniform[1], uniform[3])]
    normals = torch.stack(
        [radius[0] * angle[0].cos(), radius[0] * angle[0].sin(), radius[1] * angle[1].cos()], dim=1
    )
    weights = normals * color * torch.tensor(_EIGENVALUES, dtype=torch.float64)
    return (weights @ torch.tensor(_EIGENVECTORS, dtype=torch.float64).T).float()
