"""A labelled set of image files of any size, decoded when they are asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self, TypeVar, cast

import numpy as np
import torch
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.photos.prefetch import map_ahead
from rescli.data.split import split_fingerprint
from rescli.errors import DataError

__all__ = ["ImageFiles", "decode_rgb", "open_rgb"]

T = TypeVar("T")

_EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
)

_NOT_OF_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""The filter as it stands in ``warnings.filters``."""


@dataclass(frozen=True, eq=False)
class ImageFiles(LabelledImages):
    """The images of one split as files; what ``ImageSet`` is for images in memory.

    Args:
        root: the folder that the names are relative to.
        file_names: with forward slashes, sorted by class and name.
        labels_N: int64 (N,), each in [0, num_classes).
        class_names: one per class, in label order.
        fingerprint: sha256 hex digest of the names and contents of all files, in this order.
    """

    root: Path
    file_names: tuple[str, ...]
    labels_N: torch.Tensor
    class_names: tuple[str, ...]
    fingerprint: str
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
        return map_ahead(lambda index: prepare(index, self.image(index)), range(len(self)), threads=threads)

    def content(self, index: int) -> bytes:
        """The file as it stands.

        Raises:
            OSError: it is missing or unreadable.
        """
        return (self.root / self.file_names[index]).read_bytes()

    def subset(self, indices_N: torch.Tensor) -> Self:
        """Some of the images, with a fingerprint of their own."""
        return replace(
            self,
            file_names=tuple(self.file_names[index] for index in indices_N.tolist()),
            labels_N=self.labels_N[indices_N],
            fingerprint=split_fingerprint([self.fingerprint], indices_N),
        )

    def image(self, index: int) -> Image.Image:
        """The decoded image, RGB.

        Raises:
            DataError: the file is missing, damaged, or no image of 8 bits per channel.
        """
        return open_rgb(self.root / self.file_names[index])

    def stored_mode(self, index: int) -> str:
        """Pillow's name for the pixels as they stand in the file: RGB, L (grey), CMYK and so on.

        Raises:
            DataError: the file is missing, or its beginning is no image's.
        """
        path = self.root / self.file_names[index]
        with _opened(path, str(path)) as image:
            return image.mode


def open_rgb(path: Path, *, enough: int | None = None) -> Image.Image:
    """Any image file as RGB: grey is repeated, CMYK converted, transparency dropped.

    As in torchvision's loader, an orientation noted in the file is not applied: published ImageNet errors are
    those of the stored pixels. Colour of 16 bits per channel is read by its upper 8, as Pillow does; grey of
    16 bits is refused, for Pillow would clip it.

    Args:
        path: of the file.
        enough: pixels of the shorter side that are to be seen: a JPEG of more is decoded at a half, a quarter
            or an eighth of its size. None for every pixel.

    Raises:
        DataError: the file is missing, damaged, or has pixels that are not levels of 8 bits.
    """
    return decode_rgb(path, str(path), enough=enough)


def decode_rgb(source: Path | BinaryIO, name: str, *, enough: int | None = None) -> Image.Image:
    """An image as RGB, like ``open_rgb``, from a file or from bytes that errors call ``name``."""
    with _opened(source, name) as image:
        if image.mode not in _EIGHT_BIT_MODES:
            raise DataError(
                f"{name} has pixels of mode {image.mode!r}; images need 8 bits per channel.",
                hint="convert it, for example to PNG with 8 bits per channel",
            )
        if enough is not None:
            image.draft(None, (enough, enough))
        return image.convert("RGB")


@contextmanager
def _pillow_unheard() -> Iterator[None]:
    """No warnings of Pillow's, of damaged EXIF tags and the like, on which no pixel depends.

    ``warnings.catch_warnings`` puts back the filters of its beginning: where several threads decode, those of
    one are put back while another is at work, and the last may leave its own for good. Here each puts in one
    filter and takes one out of the same list.
    """
    filters = cast("list[tuple[object, ...]]", warnings.filters)
    filters.insert(0, _NOT_OF_PILLOW)
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody emptied the list meanwhile
            filters.remove(_NOT_OF_PILLOW)


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """The file as Pillow sees it, not yet decoded; what goes wrong in the block is a DataError."""
    try:
        with _pillow_unheard(), Image.open(source) as image:
            yield image
    # Pillow's decoders raise SyntaxError, struct.error, ValueError and more on damaged files.
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} cannot be decoded: {reason}", hint="replace or remove the file; then try again"
        ) from error
