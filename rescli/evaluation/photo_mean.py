"""The mean image, or the statistics by channel, of photographs as the single test view shows them."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Kind, Normalization
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError
from rescli.evaluation.views import crop_corners, resized_size
from rescli.hardware.cores import usable_cores

__all__ = ["MEASURED_IMAGES", "measure_photos"]

MEASURED_IMAGES = 4096
"""Evenly spread over the training part: the mean of a channel is then known to about 0.002 of its range."""

_PART = 64


def measure_photos(
    files: LabelledImages, kind: Kind, *, size: int, skipped: set[str] | None = None
) -> Normalization:
    """Statistics of the centre crops of at most ``MEASURED_IMAGES`` training images.

    Args:
        files: the training part.
        kind: a mean image, or statistics by channel.
        size: side of the crops in pixels.
        skipped: gets the names of damaged images, which are then left out; None for an error instead.

    Raises:
        DataError: an image is damaged, or all that may be skipped are.
    """
    count = min(len(files), MEASURED_IMAGES)
    some = files.subset(torch.arange(count) * len(files) // count) if count else files

    def center(index: int) -> torch.Tensor | None:
        try:
            image = some.image(index)
        except DataError:
            if skipped is None:
                raise
            skipped.add(some.file_names[index])
            return None
        width, height = resized_size(*image.size, size * 256 // 224)
        ((top, left),) = crop_corners(height, width, size, "center")
        resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        return torch.from_numpy(resized[top : top + size, left : left + size].copy())

    found = map_ahead(center, range(len(some)), threads=usable_cores())
    crops = (crop for crop in found if crop is not None)

    def parts() -> list[torch.Tensor]:
        return [crop for _, crop in zip(range(_PART), crops, strict=False)]

    return Normalization.fit_parts((torch.stack(part) for part in iter(parts, [])), kind)
