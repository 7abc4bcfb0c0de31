"""Images into the inputs that a protocol asks for, batch by batch.

Shapes: B images of a batch, h x w pixels of an input, C = 3 channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.evaluation.protocols import Views
from rescli.hardware.threads.cores import usable_cores

__all__ = ["MAX_RESIZED", "ViewBatch", "center_crop", "crop_corners", "resized_size", "view_batches"]

MAX_RESIZED = 2**23
"""Pixels of an image that is resized whole before it is cropped, 25 MB: at a shorter side of 256, 128 times
as long as wide. Of a longer one, each crop is cut from the image first and resized then."""

_MAX_WHOLE = 2**25
"""Pixels of an image that the net sees whole: at a shorter side of 640, 82 times as long as wide. Of a longer
one the net sees the middle, ``_MIDDLE`` times as long as wide."""

_MIDDLE = 16


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """One view of some images.

    Args:
        inputs: normalised float32 (B, C, h, w), channels-last.
        images: their B indices.
        view: its number.
    """

    inputs: torch.Tensor
    images: range | list[int]
    view: int


def view_batches(
    images: LabelledImages,
    views: Views,
    normalization: Normalization,
    *,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[ViewBatch]:
    """Every view of every image once. Views are numbered by scale, then orientation, then place.

    Args:
        batch_size: images per batch of inputs of the native size; of larger inputs there are fewer, so that
            a batch holds as many pixels.

    Raises:
        DataError: an image cannot be decoded.
        ValueError: a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    stacked = images.stacked
    if stacked is not None and not views.shorter_sides:
        return _of_one_size(stacked, views, normalization, batch_size=batch_size, device=device)
    return _resized(images, views, normalization, batch_size=batch_size, device=device)


def resized_size(width: int, height: int, shorter_side: int) -> tuple[int, int]:
    """(width, height) with that shorter side; the longer one is rounded down, as in torchvision."""
    if width <= height:
        return shorter_side, int(shorter_side * height / width)
    return int(shorter_side * width / height), shorter_side


def center_crop(image: Image.Image, shorter_side: int, crop: int) -> NDArray[np.uint8]:
    """uint8 (crop, crop, 3): the centre of the image with that shorter side (bilinear, antialiased)."""
    width, height = resized_size(*image.size, shorter_side)
    (pixels,) = _resized_crops(image, shorter_side, crop, crop_corners(height, width, crop, "center"))
    return pixels


def crop_corners(height: int, width: int, crop: int, positions: str) -> list[tuple[int, int]]:
    """(top, left) of each crop: the centre, or ``five``: the four corners row by row, then the centre."""
    # Half pixels to the even side: Python's rounding, as torchvision's.
    center = round((height - crop) / 2), round((width - crop) / 2)
    if positions == "center":
        return [center]
    bottom, right = height - crop, width - crop
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), center]


def _of_one_size(
    stacked: torch.Tensor,
    views: Views,
    normalization: Normalization,
    *,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[ViewBatch]:
    """``stacked``, uint8 (N, H, W, 3), is uploaded whole at first: 31 MB for CIFAR's test set."""
    images_NHWC = stacked.to(device)
    for start in range(0, len(stacked), batch_size):
        end = min(start + batch_size, len(stacked))
        whole = normalization.apply(images_NHWC[start:end])
        if views.pad:
            whole = F.pad(whole, (views.pad,) * 4)
        height, width = whole.shape[2:]
        corners = [(0, 0)]
        size = (height, width)
        if views.crop is not None:
            corners = crop_corners(height, width, views.crop, views.positions)
            size = (views.crop, views.crop)
        view = 0
        for oriented in (whole, whole.flip(3)) if views.flip else (whole,):
            for top, left in corners:
                inputs = oriented[:, :, top : top + size[0], left : left + size[1]]
                yield ViewBatch(inputs.contiguous(memory_format=torch.channels_last), range(start, end), view)
                view += 1


def _resized(
    images: LabelledImages,
    views: Views,
    normalization: Normalization,
    *,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[ViewBatch]:
    native = views.crop or min(views.shorter_sides)
    prepared = _prepared(images, views)
    for start in range(0, len(images), batch_size):
        group = range(start, min(start + batch_size, len(images)))
        pieces = [next(prepared) for _ in group]
        for scale in range(len(views.shorter_sides)):
            for members, pixels in _of_equal_size(group, [piece[scale] for piece in pieces]):
                height, width = pixels[0].shape[-3:-1]
                fitting = max(1, batch_size * native**2 // (height * width))
                for first in range(0, len(members), fitting):
                    chosen = slice(first, first + fitting)
                    stacked = torch.stack(pixels[chosen]).to(device)
                    yield from _oriented(members[chosen], stacked, scale, normalization)


def _of_equal_size(
    group: range, pieces: list[torch.Tensor]
) -> Iterator[tuple[list[int], list[torch.Tensor]]]:
    """Images whose pieces, each uint8 (1 or 2, places, h, w, C), can be stacked."""
    by_size: dict[torch.Size, list[int]] = {}
    for position, piece in enumerate(pieces):
        by_size.setdefault(piece.shape, []).append(position)
    for positions in by_size.values():
        yield [group[position] for position in positions], [pieces[position] for position in positions]


def _oriented(
    members: list[int], stacked: torch.Tensor, scale: int, normalization: Normalization
) -> Iterator[ViewBatch]:
    """stacked: uint8 (B, 1 or 2, places, h, w, C) of the images ``members``; the second to be mirrored."""
    orientations, places, height, width = stacked.shape[1:5]
    at_size = normalization.at_size(height, width)
    for mirrored in range(orientations):
        for place in range(places):
            inputs = at_size.apply(stacked[:, mirrored, place])
            if mirrored:
                inputs = inputs.flip(3).contiguous(memory_format=torch.channels_last)
            yield ViewBatch(inputs, members, (scale * orientations + mirrored) * places + place)


def _prepared(images: LabelledImages, views: Views) -> Iterator[list[torch.Tensor]]:
    """Per image and scale, its pieces, on the CPU, made ahead in threads."""

    return images.map(lambda _, image: _pieces(image, views), threads=usable_cores())


def _pieces(image: Image.Image, views: Views) -> list[torch.Tensor]:
    """Per scale uint8 (1 or 2, places, h, w, C): the crops, and those whose mirror images are the mirrored
    image's crops."""
    if views.crop is None:
        image = _middle(image, max(views.shorter_sides))
    pieces = []
    for side in views.shorter_sides:
        width, height = resized_size(*image.size, side)
        if views.crop is None:
            pixels_HWC = torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.BILINEAR)))
            pieces.append(pixels_HWC.expand(2 if views.flip else 1, 1, -1, -1, -1))
            continue
        crop = views.crop
        corners = crop_corners(height, width, crop, views.positions)
        if views.flip:
            corners = corners + [(top, width - crop - left) for top, left in corners]
        crops = torch.stack([torch.from_numpy(one) for one in _resized_crops(image, side, crop, corners)])
        pieces.append(crops.view(-1, views.places, crop, crop, 3))
    return pieces


def _resized_crops(
    image: Image.Image, shorter_side: int, crop: int, corners: list[tuple[int, int]]
) -> list[NDArray[np.uint8]]:
    """uint8 (crop, crop, 3) at each (top, left) of the image with that shorter side.

    Cut first and resized then, a sliver costs no more than its crops; a value differs by a level or two from
    that of the image resized whole, which images of ordinary shapes therefore are.
    """
    width, height = resized_size(*image.size, shorter_side)
    if width * height <= MAX_RESIZED:
        whole = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
        return [whole[top : top + crop, left : left + crop] for top, left in corners]
    scale_x, scale_y = image.width / width, image.height / height
    boxes = [
        (
            left * scale_x,
            top * scale_y,
            min((left + crop) * scale_x, image.width),
            min((top + crop) * scale_y, image.height),
        )
        for top, left in corners
    ]
    return [np.array(image.resize((crop, crop), Image.Resampling.BILINEAR, box=box)) for box in boxes]


def _middle(image: Image.Image, largest_side: int) -> Image.Image:
    """The image, or the middle of one that would have too many pixels at the largest shorter side."""
    width, height = resized_size(*image.size, largest_side)
    if width * height <= _MAX_WHOLE:
        return image
    length = _MIDDLE * min(image.size)
    if image.width > image.height:
        left = (image.width - length) // 2
        return image.crop((left, 0, left + length, image.height))
    top = (image.height - length) // 2
    return image.crop((0, top, image.width, top + length))
