"""Grey of 16 bits, which Pillow would clip."""

from __future__ import annotations

from PIL import Image

__all__ = ["grey_of_16_bits"]

_EIGHT_BITS = 256
_LEVELS_OF_16_BITS = ("PNG", "PPM")


def grey_of_16_bits(image: Image.Image) -> Image.Image | None:
    """Grey of 16 bits as RGB, by its upper 8, as Pillow reads colour of 16 bits; None for other images.

    Pillow's modes ``I;16``, ``I;16B`` and so on are levels of 16 bits. Its mode ``I`` is an integer of 32
    bits, of which only the file's format may say where white is.

    >>> grey_of_16_bits(Image.new("I;16", (1, 1), 0x1234)).getpixel((0, 0))
    (18, 18, 18)
    """
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in _LEVELS_OF_16_BITS)):
        return None
    import numpy as np  # a dry run, which decodes nothing, does without it

    levels = np.asarray(image)
    if (
        levels.dtype.kind not in "iu"
        or levels.size == 0
        or levels.min() < 0
        or levels.max() >= _EIGHT_BITS**2
    ):
        return None
    return Image.fromarray((levels // _EIGHT_BITS).astype(np.uint8)).convert("RGB")
