"""Whether image files are whole: found out from their ends, and by a bounded number of decoded pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.photos import probe
from rescli.data.photos.endings import has_its_end
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]


def noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def files(root: Path, *names: str) -> ImageFiles:
    return ImageFiles(root, names, torch.zeros(len(names), dtype=torch.int64), ("a",), "0" * 64)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded."""
    seen: list[str] = []
    whole: Callable[[Path], str | None] = probe._decoded

    def note(path: Path) -> str | None:
        seen.append(path.name)
        return whole(path)

    monkeypatch.setattr(probe, "_decoded", note)
    return seen


@pytest.mark.parametrize("kind", FORMATS)
def test_the_end_tells_without_decoding(tmp_path: Path, decoded: list[str], kind: str) -> None:
    path = tmp_path / "image"
    noise().save(path, kind)
    probe.require_whole(files(tmp_path, "image"), "train", decode=False)
    assert decoded == []
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert has_its_end(path, kind) is False
    with pytest.raises(DataError, match="1 of the 1 train images cannot be read"):
        probe.require_whole(files(tmp_path, "image"), "train", decode=False)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_of_a_tiff_the_strips_tell(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "image.tif"
    noise().save(path, compression=compression)
    assert has_its_end(path, "TIFF")


def test_a_telephones_trailer_is_no_reason_to_decode(tmp_path: Path, decoded: list[str]) -> None:
    path = tmp_path / "a.jpg"
    noise().save(path)
    whole = path.read_bytes()
    for trailer in (b"SEFT" + bytes(60), bytes(60_000)):
        path.write_bytes(whole + trailer)
        probe.require_whole(files(tmp_path, "a.jpg"), "train", decode=False)
    assert decoded == []
    path.write_bytes(whole + bytes(70_000))  # a film: only a decoding tells
    probe.require_whole(files(tmp_path, "a.jpg"), "train", decode=False)
    assert decoded == ["a.jpg"]


def test_the_end_of_a_thumbnail_is_not_that_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise(16).save(path)
    thumbnail = path.read_bytes()
    noise(64).save(path)
    whole = path.read_bytes()
    block = b"Exif\0\0" + thumbnail
    with_one = whole[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + whole[2:]
    path.write_bytes(with_one + bytes(100))
    assert has_its_end(path, "JPEG")
    path.write_bytes(with_one[:-200])
    assert has_its_end(path, "JPEG") is False
    path.write_bytes(with_one[:300])  # within the thumbnail
    assert has_its_end(path, "JPEG") is not True


def test_all_decoding_has_one_budget(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.ppm" for number in range(10)]  # a format that does not tell
    for name in names:
        noise(8).save(tmp_path / name)
    noise(8).save(tmp_path / "odd.png")
    (tmp_path / "odd.png").write_bytes((tmp_path / "odd.png").read_bytes() + bytes(80))
    monkeypatch.setattr(probe, "_MOST_PIXELS", 4 * 64)
    probe.require_whole(files(tmp_path, *names, "odd.png"), "val", decode=True)
    # What seems cut off comes first.
    assert sorted(decoded) == ["0.ppm", "1.ppm", "2.ppm", "odd.png"]


def test_pixels_of_no_known_white_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "a.png", "TIFF")
    with pytest.raises(DataError, match="pixels of mode"):
        probe.require_whole(files(tmp_path, "a.png"), "train", decode=False)
