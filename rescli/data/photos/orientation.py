"""How an image is to be turned, by what its file says: EXIF's tag 274, or XMP's copy of it."""

from __future__ import annotations

import re
from contextlib import suppress

from PIL import Image

__all__ = ["orientation_of", "turned"]

_ORIENTATION = 0x0112
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What puts an image of each EXIF orientation upright; 1 is upright."""


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """What puts an image of that orientation, 1 to 8, upright; itself where it is 1."""
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def orientation_of(image: Image.Image) -> int:
    """1 to 8, by what was read of the file so far; 1 where it says nothing that makes sense.

    Pillow's ``getexif`` would decode a whole PNG to look for it.
    """
    if image.format == "TIFF":  # Pillow turns it itself, whoever asks
        return 1
    found: object = None
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        found = _of_exif(exif)
    elif "Raw profile type exif" in image.info:  # ImageMagick's PNG
        with suppress(Exception):
            found = image.getexif().get(_ORIENTATION)
    if found is None:
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        if isinstance(xmp, str | bytes):
            told = _XMP_ORIENTATION.search(xmp if isinstance(xmp, bytes) else xmp.encode())
            found = int(told[1]) if told else None
    return found if isinstance(found, int) and found in _TURNS else 1


def _of_exif(exif: bytes) -> int | None:
    """The orientation in the first directory of an EXIF block; None where it has none or is damaged."""
    block = exif.removeprefix(b"Exif\0\0")
    if block[:2] not in (b"II", b"MM"):
        return None

    def number(start: int, length: int) -> int:
        return int.from_bytes(block[start : start + length], "little" if block[:2] == b"II" else "big")

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        start = directory + 2 + 12 * entry
        if start + 12 > len(block):
            return None
        if number(start, 2) == _ORIENTATION:
            return number(start + 8, 4 if number(start + 2, 2) == 4 else 2)
    return None
