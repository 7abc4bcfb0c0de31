"""The mean image, or the channels' statistics, of photographs: of their single test view."""

from __future__ import annotations

import os

import numpy as np
import torch
from PIL import Image

from rescli.data.image_files import ImageFiles, map_images
from rescli.data.normalization import Kind, Normalization
from rescli.evaluation.views import crop_corners, resized_size

__all__ = ["MEASURED_IMAGES", "measure_photos"]

MEASURED_IMAGES = 4096
"""Evenly spread over the training part: the mean of a channel is then known to about 0.002 of its range."""

_PART = 64


def measure_photos(files: ImageFiles, kind: Kind, *, size: int) -> Normalization:
    """Statistics of the centre crops of at most ``MEASURED_IMAGES`` training images.

    Raises:
        DataError: an image is damaged.
    """
    count = min(len(files), MEASURED_IMAGES)
    some = files.subset(torch.arange(count) * len(files) // count) if count else files

    def center(_: int, image: Image.Image) -> torch.Tensor:
        width, height = resized_size(*image.size, size * 256 // 224)
        ((top, left),) = crop_corners(height, width, size, "center")
        resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        return torch.from_numpy(resized[top : top + size, left : left + size].copy())

    crops = map_images(some, center, threads=os.cpu_count() or 1)

    def parts() -> list[torch.Tensor]:
        return [crop for _, crop in zip(range(_PART), crops, strict=False)]

    return Normalization.fit_parts((torch.stack(part) for part in iter(parts, [])), kind)
