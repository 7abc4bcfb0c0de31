"""Makes folders of photographs, as strange as people's own."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


def put_pictures(root: Path, *names: str, size: tuple[int, int] = (40, 30)) -> Path:
    """A picture of its own under each name; the suffix says the format, JPEG where there is none."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".png": "PNG", ".gif": "GIF", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
        data = io.BytesIO()
        picture(sum(os.fsencode(name)), size).save(data, kind)
        path.write_bytes(data.getvalue())
    return root


def put_cats_and_dogs(root: Path, count: int) -> Path:
    """So many pictures of each of two classes in train and in val: ``train/cat/1.jpg``."""
    splits, classes, numbers = ("train", "val"), ("cat", "dog"), range(1, count + 1)
    return put_pictures(root, *(f"{s}/{name}/{n}.jpg" for s in splits for name in classes for n in numbers))


def spoil(path: Path) -> None:
    """As of a bad disk: only a decoding tells."""
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    path.write_bytes(whole)


def rot(path: Path) -> None:
    """Write a PNG and spoil it."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    spoil(path)


def write_torture(root: Path) -> None:
    """Everything that is odd and can be trained on all the same, at once."""
    train, val = root / "Train", root / "validation"
    many = [f"cat/{number}.jpg" for number in range(60)]
    put_pictures(train, *many, *(f"dog/{number}.jpg" for number in range(8)), "emu/only.jpg")
    put_pictures(train, *(f"Dog/{number}.jpg" for number in range(6)))
    put_pictures(train, *(f"BACKGROUND_Google/{number}.jpg" for number in range(6)))
    put_pictures(train, *(f"猫 und é/{number}.jpg" for number in range(6)), "loose.jpg")
    put_pictures(train, *(f"bird/{kind}/{number}.jpg" for kind in ("owl", "wren") for number in range(3)))
    put_pictures(
        val, *(f"{name}/{number}.jpg" for name in ("cat", "dog", "Dog", "bird") for number in range(3))
    )
    put_pictures(root, "test/1.jpg", "extra/1.jpg", "__MACOSX/Train/cat/1.jpg", "runs/one/curves.png")
    (root / "runs/one/spec.toml").touch()
    (root / "photos.zip").touch()
    put_pictures(train, "cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_XL.jpg", "cat/._0.jpg")
    (train / "empty").mkdir()
    for name in ("notes.txt", "labels.xml", "Thumbs.db", "noimage"):
        (train / "cat" / name).write_text("nothing to see")
    put_pictures(train, "cat/a.jfif", "cat/none", "cat/b.gif", "cat/c.webp")
    (train / "cat/phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (train / "cat/cut.jpg").write_bytes((train / "cat/0.jpg").read_bytes()[:-50])
    (train / "cat/page.jpg").write_text("<html>404 Not Found</html>")
    (val / "cat/zero.png").touch()
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(1).save(train / "dog/turned.jpg", exif=turned)
    picture(2, (1000, 1)).save(train / "dog/thin.png")
    picture(3, (1200, 20)).save(val / "dog/panorama.png")
    picture(4, mode="CMYK").save(train / "dog/print.jpg")
    picture(5, mode="P").save(train / "dog/palette.png", transparency=0)
    picture(6, mode="RGBA").save(train / "dog/glass.png")
    Image.fromarray(np.full((30, 40), 40_000, np.uint16)).save(train / "dog/deep.png")
    Image.fromarray(np.full((30, 40), 0.5, np.float32)).save(train / "dog/depth.tif")
    (train / "dog/linked.jpg").symlink_to(train / "dog/0.jpg")
    (train / "dog/circle").symlink_to(train)
    os.mkfifo(train / "dog/pipe.jpg")
    put_pictures(train, f"dog/{'long' * 50}.jpg")
    (val / "dog/same.jpg").write_bytes((train / "dog/0.jpg").read_bytes())
    os.rename(train / "dog/7.jpg", os.fsencode(train / "dog") + b"/\xff.jpg")
