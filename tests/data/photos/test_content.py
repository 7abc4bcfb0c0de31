"""What a file is follows from its content; its orientation is read without decoding it."""

from __future__ import annotations

import io
import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError, features

from rescli.data.photos import content
from rescli.data.photos.decoding import Header, open_rgb, read_header
from rescli.errors import DataError

ORIENTATION = 0x0112
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 9, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


def noted(path: Path, orientation: int, **options: Any) -> Path:
    """72 x 40 pixels that say how they are to be turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif, **options)
    return path


def heic_head(brand: bytes = b"heic", also: bytes = b"mif1") -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + also + brand + bytes(100)


class TestReadHeader:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
    def test_says_what_pillow_says(self, tmp_path: Path, suffix: str, orientation: int) -> None:
        path = noted(tmp_path / f"1{suffix}", orientation)
        kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix]
        assert read_header(path) == Header(72, 40, "RGB", orientation, kind)
        with Image.open(path) as image:
            assert image.getexif()[ORIENTATION] == orientation

    def test_a_tiff_is_turned_by_pillow_whatever_is_asked(self, tmp_path: Path) -> None:
        path = noted(tmp_path / "1.tif", 6)
        assert read_header(path) == Header(40, 72, "RGB", 1, "TIFF")
        assert open_rgb(path).size == open_rgb(path, upright=True).size == (40, 72)

    def test_of_a_big_endian_block_and_of_a_long(self, tmp_path: Path) -> None:
        entry = struct.pack(">HHII", ORIENTATION, 4, 1, 6)
        block = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
        Image.fromarray(PIXELS).save(tmp_path / "1.jpg", exif=block)
        assert read_header(tmp_path / "1.jpg").orientation == 6

    @pytest.mark.parametrize("told", ['tiff:Orientation="8"', "<tiff:Orientation>8</tiff:Orientation>"])
    def test_of_xmp_where_exif_says_nothing(self, tmp_path: Path, told: str) -> None:
        Image.fromarray(PIXELS).save(tmp_path / "1.webp", xmp=told.encode())
        assert read_header(tmp_path / "1.webp").orientation == 8

    @pytest.mark.parametrize("exif", [b"Exif\0\0MM", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"?"])
    def test_a_damaged_block_is_no_orientation(self, tmp_path: Path, exif: bytes) -> None:
        Image.fromarray(PIXELS).save(tmp_path / "1.jpg", exif=exif)
        assert read_header(tmp_path / "1.jpg") == Header(72, 40, "RGB", 1, "JPEG")

    @pytest.mark.parametrize("orientation", [0, 9, 200])
    def test_an_orientation_that_is_none_is_1(self, tmp_path: Path, orientation: int) -> None:
        assert read_header(noted(tmp_path / "1.jpg", orientation)).orientation == 1

    def test_a_phones_jpeg_of_two_pictures_is_a_jpeg(self, tmp_path: Path) -> None:
        second = Image.new("RGB", (8, 8))
        Image.fromarray(PIXELS).save(tmp_path / "1.jpg", "MPO", save_all=True, append_images=[second])
        assert read_header(tmp_path / "1.jpg") == Header(72, 40, "RGB", 1, "JPEG")
        assert open_rgb(tmp_path / "1.jpg").size == (72, 40)

    @pytest.mark.parametrize(
        ("mode", "suffix"), [("L", ".jpg"), ("CMYK", ".jpg"), ("P", ".png"), ("LA", ".png"), ("1", ".png")]
    )
    def test_the_stored_mode(self, tmp_path: Path, mode: str, suffix: str) -> None:
        path = tmp_path / f"1{suffix}"
        Image.new("RGB", (4, 3)).convert(mode).save(path)
        assert read_header(path).mode == mode

    def test_decodes_nothing(self, tmp_path: Path) -> None:
        path = noted(tmp_path / "1.png", 6)
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.index(b"IDAT") + 8])
        assert read_header(path) == Header(72, 40, "RGB", 6, "PNG")

    def test_more_pixels_than_pillow_allows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
        with pytest.raises(DataError, match=r"bomb.png cannot be decoded: Image size"):
            read_header(tmp_path / "bomb.png")

    @pytest.mark.parametrize("contents", [b"", b"<html>", b"\xff\xd8", None])
    def test_of_no_image(self, tmp_path: Path, contents: bytes | None) -> None:
        if contents is not None:
            (tmp_path / "1.jpg").write_bytes(contents)
        with pytest.raises(DataError, match=r"1.jpg cannot be decoded: ."):
            read_header(tmp_path / "1.jpg")


class TestUpright:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("suffix", [".png", ".webp"])
    def test_as_a_viewer_shows_it(self, tmp_path: Path, suffix: str, orientation: int) -> None:
        path = noted(tmp_path / f"1{suffix}", orientation, **({} if suffix == ".png" else {"lossless": True}))
        with Image.open(path) as image:
            shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(np.asarray(open_rgb(path, upright=True)), shown)
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), PIXELS)

    def test_a_png_may_say_it_behind_its_pixels(self, tmp_path: Path) -> None:
        whole = noted(tmp_path / "1.png", 6).read_bytes()
        start = whole.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(whole[start : start + 4], "big")
        (tmp_path / "2.png").write_bytes(whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:])
        assert open_rgb(tmp_path / "2.png", upright=True).size == (40, 72)

    def test_a_jpeg_decoded_at_a_fraction_is_turned_too(self, tmp_path: Path) -> None:
        path = noted(tmp_path / "1.jpg", 8)
        assert open_rgb(path, upright=True, enough=10).size == (10, 18)


class TestContent:
    """The suffix decides nothing."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
    @pytest.mark.parametrize("name", ["1.jpg", "1.jfif", "1", "1.heic"])
    def test_any_format_by_any_name(self, tmp_path: Path, kind: str, name: str) -> None:
        Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / name, kind)
        assert open_rgb(tmp_path / name).size == (30, 20)
        assert read_header(tmp_path / name).format == kind

    @pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
    def test_avif_where_pillow_reads_it(self, tmp_path: Path) -> None:
        noted(tmp_path / "1.jpg", 6, format="AVIF")
        assert read_header(tmp_path / "1.jpg").format == "AVIF"
        assert open_rgb(tmp_path / "1.jpg", upright=True).size == (40, 72)

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
    def test_the_first_frame_of_an_animation(self, tmp_path: Path, kind: str) -> None:
        frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "lime", "blue")]
        frames[0].save(tmp_path / "1.jpg", kind, save_all=True, append_images=frames[1:], lossless=True)
        red, green, blue = open_rgb(tmp_path / "1.jpg").getpixel((3, 3))  # type: ignore[misc]
        assert (red > 250, green < 5, blue < 5) == (True, True, True)

    @pytest.mark.parametrize(
        ("contents", "said"),
        [
            (b"", "it is empty"),
            (bytes(2000), "it holds zeros alone"),
            (b"<!DOCTYPE html><title>Not found", r"a web page \(HTML\)"),
            (b"\n <HTML>", r"a web page \(HTML\)"),
            (b'<svg xmlns="', r"a drawing \(SVG\)"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
            (b"%PDF-1.7", "a PDF document"),
            (b"PK\x03\x04abc", "a ZIP archive"),
            (b"not an image\n" * 90, "it holds text"),
            (heic_head(b"qt  ", b"isom"), "a video"),
            (b"\xff\xd8\xff\xe0", "its header is broken"),
            (b"\x8f\x00\x11" * 90, "no image of a format"),
        ],
    )
    def test_what_is_no_image_is_called_by_its_name(self, tmp_path: Path, contents: bytes, said: str) -> None:
        (tmp_path / "1.jpg").write_bytes(contents)
        for read in (open_rgb, read_header):
            with pytest.raises(DataError, match=f"1.jpg cannot be decoded: .*{said}") as caught:
                read(tmp_path / "1.jpg")
            assert "replace or remove" in str(caught.value.hint)


class TestPlugins:
    @pytest.fixture(autouse=True)
    def _nothing_registered(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for module in ("pillow_heif", "pillow_avif", "pillow_jxl"):
            monkeypatch.setitem(sys.modules, module, None)  # importing it is an ImportError
        content._register.cache_clear()
        yield
        content._register.cache_clear()

    @pytest.mark.parametrize(
        ("head", "name", "install"),
        [
            (heic_head(), "HEIC", "heif"),
            (heic_head(b"mif1", b"miaf"), "HEIC", "heif"),
            (b"\xff\x0a" + bytes(50), "JPEG XL", "pillow-jxl-plugin"),
            (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL", "pillow-jxl-plugin"),
        ],
    )
    def test_one_that_is_missing_is_named(self, tmp_path: Path, head: bytes, name: str, install: str) -> None:
        (tmp_path / "1.jpg").write_bytes(head)
        with pytest.raises(DataError, match=f"1.jpg cannot be decoded: it is a {name} image") as caught:
            open_rgb(tmp_path / "1.jpg")
        assert "pip install" in str(caught.value.hint)
        assert install in str(caught.value.hint)

    def test_avif_where_this_pillow_reads_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "1.avif").write_bytes(heic_head(b"avif"))
        monkeypatch.setattr(Image, "open", _nothing)
        with pytest.raises(DataError, match="it is an AVIF image") as caught:
            open_rgb(tmp_path / "1.avif")
        assert "Pillow>=" in str(caught.value.hint)

    def test_one_that_is_there_is_registered_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plugin = types.ModuleType("pillow_heif")
        calls: list[str] = []

        def opened(_file: object, _name: object = None, **_: object) -> Image.Image:
            if not calls:
                raise UnidentifiedImageError
            return Image.new("RGB", (3, 2))

        monkeypatch.setattr(Image, "open", opened)
        plugin.register_heif_opener = lambda: calls.append("registered")  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
        for name in ("1.jpg", "2.heic"):
            (tmp_path / name).write_bytes(heic_head())
            assert open_rgb(tmp_path / name).size == (3, 2)
        assert calls == ["registered"]

    def test_of_a_real_plugin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "pillow_heif")
        heif = pytest.importorskip("pillow_heif")
        heif.register_heif_opener()
        stored = io.BytesIO()
        Image.fromarray(PIXELS).save(stored, "HEIF", quality=90)
        (tmp_path / "1.jpg").write_bytes(stored.getvalue())
        assert open_rgb(tmp_path / "1.jpg").size == (72, 40)


def _nothing(*_: object, **__: object) -> Image.Image:
    raise UnidentifiedImageError
