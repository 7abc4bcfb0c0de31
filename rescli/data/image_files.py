"""A labelled set of image files of any size, decoded when they are asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image

from rescli.data.ahead import map_ahead
from rescli.errors import DataError

__all__ = ["ImageFiles", "map_images", "open_rgb"]

T = TypeVar("T")

_EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
)

_PILLOW = r"PIL\."
_NOT_OF_PILLOW = ("ignore", None, Warning, re.compile(_PILLOW), 0)
"""The filter as it stands in ``warnings.filters``."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """The images of one split as files; what ``ImageSet`` is for images in memory.

    file_names: relative to ``root``, with forward slashes, sorted by class and name.
    labels_N: int64 (N,), each in [0, num_classes).
    class_names: one per class, in label order.
    fingerprint: sha256 hex digest of the names and contents of all files, in this order.
    """

    root: Path
    file_names: tuple[str, ...]
    labels_N: torch.Tensor
    class_names: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.file_names)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

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
        with _opened(self.root / self.file_names[index]) as image:
            return image.mode


def open_rgb(path: Path) -> Image.Image:
    """Any image file as RGB: grey is repeated, CMYK converted, transparency dropped. As torchvision's loader,
    an orientation noted in the file is not applied: published ImageNet figures are of the stored pixels.
    Colour of 16 bits per channel is read by its upper 8, as Pillow does; grey of 16 bits is refused, for
    Pillow would clip it.

    Raises:
        DataError: the file is missing, damaged, or has pixels that are not levels of 8 bits.
    """
    with _opened(path) as image:
        if image.mode not in _EIGHT_BIT_MODES:
            raise DataError(
                f"{path} has pixels of mode {image.mode!r}; images need 8 bits per channel.",
                hint="convert it, for example to PNG with 8 bits per channel",
            )
        return image.convert("RGB")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file as Pillow sees it, not yet decoded; what goes wrong in the block is a DataError."""
    # Of damaged EXIF tags and the like: no pixel depends on them. For the whole process and for good:
    # warnings.catch_warnings in several threads would leave everybody's warnings switched off.
    if _NOT_OF_PILLOW not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW)
    try:
        with Image.open(path) as image:
            yield image
    # Pillow's decoders raise SyntaxError, struct.error, ValueError and more on damaged files.
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be decoded: {reason}", hint="replace or remove the file; then try again"
        ) from error


def map_images(files: ImageFiles, prepare: Callable[[int, Image.Image], T], *, threads: int) -> Iterator[T]:
    """``prepare(index, image)`` of each image, in order, computed ahead in ``threads`` threads.

    Memory is bounded as in ``map_ahead``. Pillow decodes and resizes without holding the interpreter's lock.

    Raises:
        DataError: an image cannot be decoded.
    """
    return map_ahead(lambda index: prepare(index, files.image(index)), range(len(files)), threads=threads)
