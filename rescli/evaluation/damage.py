"""Damaged photographs in an evaluation: going on without them, and what is said where that is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from rescli.data.labelled_images import LabelledImages
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.plurals import are, counted
from rescli.remedy import Remedy

__all__ = ["naming_the_way_out", "without_damaged"]


@contextmanager
def naming_the_way_out() -> Iterator[None]:
    """Name the way past a damaged image. Removed or replaced, the images would be others than a run knew.

    Raises:
        DataError: the block's, with a remedy.
    """
    try:
        yield
    except DataError as error:
        raise DataError(str(error), remedy=Remedy("skip_damaged"), page="damaged-photographs") from error


def without_damaged(images: LabelledImages) -> tuple[LabelledImages, torch.Tensor]:
    """The images that could be decoded, and which they are.

    Args:
        images: N of them, each of which was asked for.

    Returns:
        Those that are whole, and bool (N,).

    Raises:
        DataError: none is whole.
    """
    whole_N = torch.ones(len(images), dtype=torch.bool)
    if not isinstance(images, ImageFiles) or not images.damaged:
        return images, whole_N
    whole_N[list(images.damaged)] = False
    if not whole_N.any():
        raise DataError(
            f"{'all ' * (len(images) > 1)}{counted(len(images), 'image')} {are(len(images))} damaged: "
            f"{next(iter(images.damaged.values()))}",
            page="damaged-photographs",
        )
    return replace(images, damaged=None).subset(whole_N.nonzero().flatten()), whole_N
