from __future__ import annotations

import dataclasses
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from rescli.data.image_set import ImageSet
from rescli.data.photos.decoding import open_rgb
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError


def gradient(height: int = 6, width: int = 8) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 40, columns * 30, rows + columns], axis=2).astype(np.uint8)


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


def colour_png_of_16_bits(path: Path) -> None:
    """One pixel whose channels are 0x1234, 0x56ff and 0xab00; Pillow does not write such files."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">3H", 0x1234, 0x56FF, 0xAB00))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def index_only(index: int, _image: Image.Image) -> int:
    return index


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Thirty images, each of one grey level: its index."""
    names = tuple(f"{index:02}.png" for index in range(30))
    for index, name in enumerate(names):
        Image.new("L", (2, 1 + index), index).save(tmp_path / name)
    return ImageFiles(tmp_path, names, torch.zeros(30, dtype=torch.int64), ("one",), "0" * 64)


class TestOpenRgb:
    def test_rgb_is_as_stored(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        Image.fromarray(gradient()).save(path)
        image = open_rgb(path)
        assert (image.mode, image.size) == ("RGB", (8, 6))
        np.testing.assert_array_equal(np.asarray(image), gradient())

    def test_grey_is_repeated(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        Image.fromarray(gradient()[:, :, 0]).save(path)
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), gradient()[:, :, :1].repeat(3, axis=2))

    def test_black_and_white(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        Image.fromarray(gradient()[:, :, 0] > 100).save(path)
        assert mode_of(path) == "1"
        assert set(np.unique(np.asarray(open_rgb(path)))) == {0, 255}

    def test_palette(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        colours = np.array([[[250, 3, 7], [9, 200, 11]]], dtype=np.uint8)
        Image.fromarray(colours).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
        assert mode_of(path) == "P"
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), colours)

    def test_palette_with_transparency_warns_nobody(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        image = Image.fromarray(gradient()).convert("P", palette=Image.Palette.ADAPTIVE)
        image.save(path, transparency=bytes(range(48)))
        with Image.open(path) as stored, pytest.warns(UserWarning, match="Transparency"):
            stored.convert("RGB")
        assert open_rgb(path).mode == "RGB"

    def test_transparency_is_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        alpha = np.full((6, 8, 1), 7, dtype=np.uint8)
        Image.fromarray(np.concatenate([gradient(), alpha], axis=2)).save(path)
        assert mode_of(path) == "RGBA"
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), gradient())

    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        path = tmp_path / "1.jpg"
        Image.new("RGB", (16, 16), (200, 30, 90)).convert("CMYK").save(path, quality=100)
        assert mode_of(path) == "CMYK"
        assert np.abs(np.asarray(open_rgb(path)).astype(int) - (200, 30, 90)).max() <= 3

    def test_lab_tiff(self, tmp_path: Path) -> None:
        path = tmp_path / "1.tif"
        rgb = Image.new("RGB", (4, 4), (200, 30, 90))
        lab = ImageCms.profileToProfile(
            rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
        assert lab is not None
        lab.save(path)
        assert np.abs(np.asarray(open_rgb(path)).astype(int) - (200, 30, 90)).max() <= 3

    def test_orientation_is_not_applied(self, tmp_path: Path) -> None:
        path = tmp_path / "1.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned by a quarter
        Image.new("RGB", (40, 20)).save(path, exif=exif)
        assert open_rgb(path).size == (40, 20)

    def test_colour_of_16_bits_by_its_upper_8(self, tmp_path: Path) -> None:
        path = tmp_path / "1.png"
        colour_png_of_16_bits(path)
        assert open_rgb(path).getpixel((0, 0)) == (0x12, 0x56, 0xAB)

    @pytest.mark.parametrize(("dtype", "mode"), [(np.int32, "I"), (np.float32, "F")])
    def test_other_depths_are_refused(self, tmp_path: Path, dtype: type, mode: str) -> None:
        path = tmp_path / "deep.tif"
        Image.fromarray(np.arange(16, dtype=dtype).reshape(4, 4)).save(path)
        with pytest.raises(
            DataError, match=f"deep.tif has pixels of mode '{mode}'; .* 8 or 16 bits"
        ) as caught:
            open_rgb(path)
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
    def test_grey_of_16_bits_by_its_upper_8(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"deep{suffix}"
        Image.fromarray(np.full((4, 4), 0x12AB, dtype=np.uint16)).save(path)
        assert open_rgb(path).getpixel((0, 0)) == (0x12, 0x12, 0x12)

    @pytest.mark.parametrize("damage", ["truncated", "header only", "empty", "text", "missing", "folder"])
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
    def test_damaged(self, tmp_path: Path, damage: str, suffix: str) -> None:
        path = tmp_path / f"photo{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage != "missing":
            contents = {
                "truncated": whole[: len(whole) // 2],
                "header only": whole[:12],
                "empty": b"",
                "text": b"not an image\n" * 40,
            }
            path.write_bytes(contents[damage])
        with pytest.raises(DataError, match=f"photo{suffix} cannot be decoded: .") as caught:
            open_rgb(path)
        assert caught.value.exit_code == 3
        assert caught.value.hint is not None
        assert "\n" not in str(caught.value)

    def test_more_pixels_than_pillow_allows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "bomb.png"
        Image.new("L", (100, 100)).save(path)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # an error from twice as many
        with pytest.raises(DataError, match=r"bomb.png cannot be decoded: Image size"):
            open_rgb(path)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)  # a warning below that
        assert open_rgb(path).size == (100, 100)


def test_warnings_are_heard_again_when_the_picture_is_read(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "1.png")
    before = list(warnings.filters)
    threads = [threading.Thread(target=open_rgb, args=(tmp_path / "1.png",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_image_files(files: ImageFiles) -> None:
    assert (len(files), files.num_classes) == (30, 1)
    assert files.image(7).size == (2, 8)
    assert files.image(7).getpixel((0, 0)) == (7, 7, 7)
    assert files.stored_mode(7) == "L"


def test_images_in_memory_give_the_same_image_and_are_evaluated_in_larger_batches(files: ImageFiles) -> None:
    held = ImageSet(files.pixels(2)[None], files.labels_N[2:3], files.class_names, "one")
    assert np.array_equal(held.image(0), files.image(2))
    assert (held.evaluation_batch_size, files.evaluation_batch_size) == (500, 64)


def test_stored_mode_of_a_damaged_file(files: ImageFiles) -> None:
    (files.root / "03.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"03.png cannot be decoded"):
        files.stored_mode(3)


class TestMapImages:
    def test_in_order(self, files: ImageFiles) -> None:
        pairs = list(files.map(lambda index, image: (index, image.getpixel((0, 0))), threads=4))
        assert pairs == [(index, (index, index, index)) for index in range(30)]

    def test_of_no_images(self, files: ImageFiles) -> None:
        none = dataclasses.replace(files, file_names=())
        assert list(none.map(index_only, threads=2)) == []

    def test_prepares_a_bounded_number_ahead(self, files: ImageFiles) -> None:
        prepared = []
        lock = threading.Lock()

        def prepare(index: int, _image: Image.Image) -> int:
            with lock:
                prepared.append(index)
            return index

        results = files.map(prepare, threads=2)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        assert 1 <= len(prepared) <= 8

    def test_an_error_in_the_middle_surfaces(self, files: ImageFiles) -> None:
        (files.root / "11.png").write_bytes(b"")
        results = files.map(index_only, threads=2)
        assert [next(results) for _ in range(11)] == list(range(11))
        with pytest.raises(DataError, match=r"11.png cannot be decoded"):
            next(results)

    def test_what_prepare_raises_surfaces(self, files: ImageFiles) -> None:
        def prepare(_index: int, _image: Image.Image) -> int:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            next(files.map(prepare, threads=2))

    def test_leaves_the_warnings_of_others_switched_on(self, files: ImageFiles) -> None:
        # warnings.catch_warnings in threads restores in any order, and can leave all of them ignored.
        list(files.map(index_only, threads=4))
        assert ("ignore", None, Warning, None, 0) not in warnings.filters
        with pytest.warns(UserWarning, match="still heard"):
            warnings.warn("still heard", stacklevel=1)
