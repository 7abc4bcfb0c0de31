"""What the first bytes of an image file say, without torch and without decoding a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rescli.errors import DataError

__all__ = ["Header", "read_header"]


@dataclass(frozen=True)
class Header:
    width: int
    height: int
    mode: str
    orientation: int
    format: str


def read_header(path: Path) -> Header:
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(274, 1)
            return Header(*image.size, image.mode, turned if turned in range(1, 9) else 1, image.format or "")
    except Exception as error:
        raise DataError(f"{path} cannot be decoded: {error}") from error
