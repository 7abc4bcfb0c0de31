"""A labelled set of image files of any size, decoded when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.photos.decoding import open_mode, open_rgb, read_header
from rescli.data.photos.prefetch import map_ahead
from rescli.data.split import split_fingerprint
from rescli.errors import DataError
from rescli.files import read_file

__all__ = ["ImageFiles"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageFiles(LabelledImages):
    """The images of one split as files; what ``ImageSet`` is for images in memory.

    Args:
        root: the folder that the names are relative to.
        file_names: with forward slashes, sorted by class and name.
        labels_N: int64 (N,), each in [0, num_classes).
        class_names: one per class, in label order.
        fingerprint: sha256 hex digest of the names and contents of all files, in this order.
        upright: whether each is turned as the orientation in its file says, not taken as it is stored.
        damaged: gets number and reason of each image that ``map`` cannot decode, in whose place it has a
            black pixel; None for an error instead.
    """

    root: Path
    file_names: tuple[str, ...]
    labels_N: torch.Tensor
    class_names: tuple[str, ...]
    fingerprint: str
    upright: bool = field(default=False, kw_only=True)
    damaged: dict[int, str] | None = field(default=None, kw_only=True)
    evaluation_batch_size = 64

    def __len__(self) -> int:
        return len(self.file_names)

    @property
    def stacked(self) -> None:
        return None

    def name(self, index: int) -> str:
        return self.file_names[index]

    def pixels(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.image(index)))

    def map(self, prepare: Callable[[int, Image.Image], T], *, threads: int) -> Iterator[T]:
        """Memory is bounded as in ``map_ahead``; Pillow decodes without holding the interpreter's lock."""
        return map_ahead(
            lambda index: prepare(index, self._image_or_black(index)), range(len(self)), threads=threads
        )

    def content(self, index: int) -> bytes:
        """The file as it stands.

        Raises:
            OSError: it is missing or unreadable.
        """
        return read_file(self.root / self.file_names[index])

    def subset(self, indices_N: torch.Tensor) -> Self:
        """Some of the images, with a fingerprint of their own."""
        return replace(
            self,
            file_names=tuple(self.file_names[index] for index in indices_N.tolist()),
            labels_N=self.labels_N[indices_N],
            fingerprint=split_fingerprint([self.fingerprint], indices_N),
        )

    def oriented(self, *, upright: bool) -> Self:
        """The images as the files store them or upright, which are others: their fingerprints differ.

        Raises:
            DataError: packed images, which were stored the other way.
        """
        if upright == self.upright:
            return self
        assert upright, "what was turned does not know how it was stored"
        fingerprint = hashlib.sha256(f"upright\0{self.fingerprint}".encode()).hexdigest()
        return replace(self, upright=True, fingerprint=fingerprint)

    def turns(self, index: int) -> bool:
        """Whether ``image`` turns the pixels of the file.

        Raises:
            DataError: the file is missing, or its beginning is no image's.
        """
        return self.upright and read_header(self.root / self.file_names[index]).orientation != 1

    def image(self, index: int) -> Image.Image:
        """The decoded image, RGB.

        Raises:
            DataError: the file is missing, damaged, or no image of 8 or 16 bits per channel.
        """
        return open_rgb(self.root / self.file_names[index], upright=self.upright)

    def _image_or_black(self, index: int) -> Image.Image:
        try:
            return self.image(index)
        except DataError as error:
            if self.damaged is None:
                raise
            self.damaged[index] = str(error)
            return Image.new("RGB", (1, 1))

    def stored_mode(self, index: int) -> str:
        """Pillow's name for the pixels as they stand in the file: RGB, L (grey), CMYK and so on.

        Raises:
            DataError: the file is missing, or its beginning is no image's.
        """
        return open_mode(self.root / self.file_names[index])
