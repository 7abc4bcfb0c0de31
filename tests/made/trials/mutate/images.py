"""Image files with traps: odd bytes, odd headers, odd sizes; and folders with odd names in them."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from trials.mutate.damage import damaged

__all__ = ["odd_entry", "odd_image"]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(
    width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"", more: bytes = b""
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + more
        + _chunk(b"IDAT", zlib.compress(data))
        + _chunk(b"IEND", b"")
    )


def _saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 34), **options: object) -> bytes:
    written = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert(mode)
    picture.save(written, kind, **options)
    return written.getvalue()


def _exif(value: int, cut: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return _saved("JPEG", exif=exif.tobytes()[:cut])


_FORMATS: tuple[tuple[str, str], ...] = (
    *(
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "I;16"),
    ),
    *(
        ("WEBP", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "F"),
        ("PPM", "RGB"),
        ("ICO", "RGBA"),
    ),
)
_TRAPS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\xff",
    "HTML": lambda: b"<html><body>404 Not Found</body></html>",
    "a PNG of 30,000 x 30,000 in 100 bytes": lambda: _png(30_000, 30_000),
    "a PNG of 2^31-1 pixels a side": lambda: _png(2**31 - 1, 2**31 - 1),
    "a PNG of no height": lambda: _png(40, 0),
    "a PNG with 1 x 60,000 pixels": lambda: _png(1, 60_000, data=bytes(4 * 60_000)),
    "a PNG whose pixels are a bomb": lambda: _png(40, 34, data=bytes(60_000_000)),
    "a PNG whose text is a bomb": lambda: _png(
        40, 34, data=bytes(34 * 121), more=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000)))
    ),
    "a PNG with a broken colour profile": lambda: _png(
        40, 34, data=bytes(34 * 121), more=_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile"))
    ),
    "a PNG of colour type 5": lambda: _png(40, 34, colour=5, data=bytes(9999)),
    "a PNG of depth 3": lambda: _png(40, 34, depth=3, data=bytes(9999)),
    "a PNG with a wrong checksum": lambda: _png(40, 34, data=bytes(34 * 121)).replace(b"IDAT", b"IDaT"),
    "a JPEG of 65,500 x 65,500 by its header": lambda: _taller(_saved("JPEG")),
    "a GIF of 65,535 x 65,535 by its header": lambda: b"GIF89a\xff\xff\xff\xff" + _saved("GIF", "P")[10:],
    "a BMP with a negative height": lambda: _saved("BMP")[:22] + struct.pack("<i", -34) + _saved("BMP")[26:],
    "a BMP of 2^30 pixels": lambda: (
        _saved("BMP")[:18] + struct.pack("<ii", 2**15, 2**15) + _saved("BMP")[26:]
    ),
    "turned 9 by its Exif": lambda: _exif(9),
    "turned 6 by its Exif": lambda: _exif(6),
    "with Exif that is cut": lambda: _exif(6, 11),
    "an animation": lambda: _saved(
        "GIF", "P", save_all=True, append_images=[Image.new("P", (40, 34), 3)] * 40
    ),
    "1 x 1": lambda: _saved("PNG", size=(1, 1)),
    "4000 x 1": lambda: _saved("PNG", size=(4000, 1)),
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>',
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file closefile\n",
    "a PDF": lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
}


def _taller(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :]


def odd_image(dice: random.Random) -> tuple[bytes, str]:
    """A trap, or a sound file of some format that was damaged."""
    if dice.random() < 0.35:
        name = dice.choice(sorted(_TRAPS))
        return _TRAPS[name](), name
    kind, mode = dice.choice(_FORMATS)
    data, what = damaged(dice, _saved(kind, mode))
    return data, f"{kind} {mode}: {what}"


def odd_entry(dice: random.Random, folder: Path, sound: Path) -> str:
    """Put something with a name or of a kind that is no plain file into ``folder``.

    Args:
        sound: an image.
    """
    names = (
        *(
            b"a\nb.jpg",
            b"\x1b[31m.jpg",
            b"\xff\xfe.jpg",
            b" .jpg",
            b".jpg",
            b"-rf.jpg",
            b"$(touch canary).jpg",
        ),
        *(
            b"'.jpg",
            b'".jpg',
            b"a" * 250 + b".jpg",
            "e\u0301é\u202egpj.jpg".encode(),
            b"\xed\xa0\x80.jpg",
            b"a\tb.jpg",
        ),
        *(
            b"a\rb.jpg",
            b"CON.jpg",
            b"a.jpg.",
            b"a.JPG",
            b"<b>x.jpg",
            b"a,b.jpg",
            b"=1+1.jpg",
            b"a\\b.jpg",
            b"%s.jpg",
        ),
    )
    way, at = dice.randrange(8), os.fsencode(folder)
    if way < 4:
        name = dice.choice(names)
        (folder / os.fsdecode(name)).write_bytes(sound.read_bytes())
        return f"a file named {name[:40]!r}"
    if way == 4:
        name = dice.choice(names).removesuffix(b".jpg")
        new = os.path.join(os.path.dirname(at), name)
        os.makedirs(new, exist_ok=True)
        for number in range(2):
            Path(os.fsdecode(os.path.join(new, b"%d.jpg" % number))).write_bytes(sound.read_bytes())
        return f"a class named {name[:40]!r}"
    link = folder / "odd.jpg"
    if way == 5:
        target = dice.choice(
            (
                "/dev/zero",
                "/dev/random",
                "/dev/null",
                "/dev/full",
                "odd.jpg",
                "nowhere",
                "..",
                "/proc/self/mem",
            )
        )
        link.symlink_to(target)
        return f"a link to {target}"
    if way == 6:
        os.mkfifo(link)
        return "a pipe"
    link.mkdir()
    return "a folder named as an image"
