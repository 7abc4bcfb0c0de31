"""What a data set's ``build`` returns for each split, whether its images lie in memory or in files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Self, TypeVar

import torch
from PIL import Image

__all__ = ["LabelledImages"]

T = TypeVar("T")


class LabelledImages(ABC):
    """Images and labels of one split.

    ``ImageSet`` has them in memory, all of one size; ``ImageFiles`` decodes them, of any size, when they are
    asked for.
    """

    labels_N: torch.Tensor
    """int64 (N,), each in [0, num_classes)."""
    class_names: tuple[str, ...]
    """One per class, in label order."""
    fingerprint: str
    """sha256 hex digest of the split: which images, in which order."""
    file_names: tuple[str, ...]
    """One per image where they have names; else empty."""
    evaluation_batch_size: ClassVar[int] = 500
    """Inputs per forward pass of an evaluation: large enough for any device at 32x32 pixels, small enough for
    1202 layers on a CPU."""

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def num_classes(self) -> int:
        """How many classes the labels count."""
        return len(self.class_names)

    @property
    @abstractmethod
    def stacked(self) -> torch.Tensor | None:
        """All images as uint8 (N, H, W, 3); None where they have to be decoded and differ in size."""

    @abstractmethod
    def subset(self, indices_N: torch.Tensor) -> Self:
        """Some of the images, with a fingerprint of their own."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What errors call the image."""

    @abstractmethod
    def pixels(self, index: int) -> torch.Tensor:
        """One image, uint8 (H, W, 3).

        Raises:
            DataError: it cannot be decoded.
        """

    def image(self, index: int) -> Image.Image:
        """One image, RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        return Image.fromarray(self.pixels(index).numpy())

    @abstractmethod
    def map(self, prepare: Callable[[int, Image.Image], T], *, threads: int) -> Iterator[T]:
        """``prepare(index, image)`` of each image, in order; files are decoded ahead in ``threads`` threads.

        Raises:
            DataError: an image cannot be decoded.
        """
