"""The mean image, or the statistics by channel, of photographs as the single test view shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Kind, Normalization
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError
from rescli.evaluation.images.views import center_crop
from rescli.hardware.threads.cores import usable_cores

__all__ = ["MEASURED_IMAGES", "measure_photos"]

T = TypeVar("T")

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

    def center(index: int) -> NDArray[np.uint8] | None:
        try:
            image = some.image(index)
        except DataError:
            if skipped is None:
                raise
            skipped.add(some.file_names[index])
            return None
        return center_crop(image, size * 256 // 224, size)

    def levels(index: int) -> NDArray[np.int64] | None:
        crop = center(index)
        if crop is None:
            return None
        return np.asarray(Image.fromarray(crop).histogram(), np.int64).reshape(3, 256)

    def found(of: Callable[[int], T | None]) -> Iterator[T]:
        made = map_ahead(of, range(len(some)), threads=usable_cores())
        return (one for one in made if one is not None)

    if kind == "per-channel":
        counts_CV = sum(found(levels), np.zeros((3, 256), np.int64))
        return Normalization.fit_histogram(torch.from_numpy(counts_CV))
    crops = found(center)

    def parts() -> list[torch.Tensor]:
        return [torch.from_numpy(crop.copy()) for _, crop in zip(range(_PART), crops, strict=False)]

    return Normalization.fit_parts((torch.stack(part) for part in iter(parts, [])), kind)
