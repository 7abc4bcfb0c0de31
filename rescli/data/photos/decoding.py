"""One image file: its header, and its pixels as RGB. No torch.

What a file is follows from its content alone; its name and suffix decide nothing.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image, UnidentifiedImageError

from rescli.data.photos.content import read_with_plugin, what_it_holds
from rescli.data.photos.grey_levels import grey_of_16_bits
from rescli.data.photos.orientation import orientation_of, turned
from rescli.errors import DataError
from rescli.files import open_file

__all__ = ["Header", "decode_rgb", "end_of_tiff", "open_mode", "open_rgb", "pillow_unheard", "read_header"]

_EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
)

_NOT_OF_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""The filter as it stands in ``warnings.filters``."""

_HEAD_BYTES = 512

_PARTS_OF_TIFF = ((273, 279), (324, 325))
"""The tags that say where strips and tiles begin, and how many bytes each has."""


@dataclass(frozen=True)
class Header:
    """What the beginning of an image file says.

    Args:
        width: of the pixels as they are stored, before any turn.
        height: of the pixels as they are stored.
        mode: Pillow's name for the pixels: RGB, L (grey), CMYK and so on.
        orientation: as EXIF has it, 1 to 8; 1 where the file says nothing that makes sense, and of a TIFF,
            which Pillow turns in any case.
        format: Pillow's name for the format, by content: JPEG, PNG and so on.
    """

    width: int
    height: int
    mode: str
    orientation: int
    format: str


def open_mode(path: Path) -> str:
    """Pillow's name for the pixels as they stand in a file: RGB, L (grey), CMYK and so on.

    Raises:
        DataError: the file is missing, or its beginning is no image's.
    """
    with _opened(path, str(path)) as image:
        return image.mode


def read_header(path: Path) -> Header:
    """The header of an image file; no pixel is decoded, so a file takes some 40 microseconds.

    Raises:
        DataError: the file is missing, or no image by its content, or has more pixels than Pillow allows.
    """
    with _opened(path, str(path)) as image:
        # A phone's JPEG with a second picture behind the first is a JPEG like any other.
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        return Header(image.width, image.height, image.mode, orientation_of(image), kind)


def end_of_tiff(path: Path) -> int | None:
    """How many bytes a TIFF must have for the pixels of its first image; None where it does not say.

    Raises:
        DataError: the file is missing, or no image.
    """
    with _opened(path, str(path)) as image:
        tags = getattr(image, "tag_v2", {})
        ends = [
            start + count
            for starts, counts in _PARTS_OF_TIFF
            for start, count in zip(tags.get(starts, ()), tags.get(counts, ()), strict=False)
        ]
        return max(ends, default=None)


def open_rgb(path: Path, *, upright: bool = False, enough: int | None = None) -> Image.Image:
    """Any image file as RGB: grey is repeated, CMYK converted, transparency dropped.

    Of an animation the first frame counts. Of 16 bits per channel the upper 8 are read, in colour as Pillow
    does it, and in grey, which Pillow would clip.

    Args:
        path: of the file.
        upright: turn the image as the orientation in the file says. False for the pixels as they are stored,
            as torchvision's loader has them: published ImageNet errors are those.
        enough: pixels of the shorter side that are to be seen: a JPEG of more is decoded at a half, a quarter
            or an eighth of its size. None for every pixel.

    Raises:
        DataError: the file is missing, damaged, or has pixels that are not levels of 8 or 16 bits.
    """
    return decode_rgb(path, str(path), upright=upright, enough=enough)


def decode_rgb(
    source: Path | BinaryIO, name: str, *, upright: bool = False, enough: int | None = None
) -> Image.Image:
    """An image as RGB, like ``open_rgb``, from a file or from bytes that errors call ``name``."""
    with _opened(source, name) as image:
        if image.mode in _EIGHT_BIT_MODES:
            if enough is not None:
                image.draft(None, (enough, enough))
            pixels = image.convert("RGB")
        elif (grey := grey_of_16_bits(image)) is not None:
            pixels = grey
        else:
            raise DataError(
                f"{name} has pixels of mode {image.mode!r}; images need levels of 8 or 16 bits.",
                hint="convert it, for example to PNG with 8 bits per channel",
                page="damaged-photographs",
            )
        # After decoding: a PNG may say it behind its pixels.
        return turned(pixels, orientation_of(image)) if upright else pixels


@contextmanager
def pillow_unheard() -> Iterator[None]:
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
        with pillow_unheard(), _recognised(source, name) as image:
            yield image
    # Pillow's decoders raise SyntaxError, struct.error, ValueError and more on damaged files.
    except (DataError, MemoryError):
        raise
    except Exception as error:
        known = error.strerror if isinstance(error, OSError) else None  # its text has the name once more
        reason = known or " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} cannot be decoded: {reason}",
            hint="replace or remove the file; then try again",
            page="damaged-photographs",
        ) from error


def _recognised(source: Path | BinaryIO, name: str) -> Image.Image:
    if isinstance(source, Path) and not stat.S_ISREG(mode := source.stat().st_mode):
        # A pipe would be waited for, perhaps for ever.
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(f"it is {kind}, not a file")
    try:
        return Image.open(source)
    except UnidentifiedImageError as error:
        head = _head(source)
        if read_with_plugin(head, name):
            return Image.open(source)
        raise UnidentifiedImageError(what_it_holds(head)) from error


def _head(source: Path | BinaryIO) -> bytes:
    if isinstance(source, Path):
        with open_file(source) as file:
            return file.read(_HEAD_BYTES)
    source.seek(0)
    head = source.read(_HEAD_BYTES)
    source.seek(0)
    return head
