"""A contact sheet: pictures keep their proportions, names fit below them, nothing warns."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rescli.report.contact_sheet import Line, Tile, contact_sheet


def _tile(size: tuple[int, int], *texts: str) -> Tile:
    return Tile(Image.new("RGB", size, "red"), tuple(Line(text, middle=True) for text in texts))


def _extent(figure, number: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    left, right, bottom, top = figure.axes[0].images[number].get_extent()
    return right - left, bottom - top


def test_pictures_keep_their_proportions() -> None:
    figure = contact_sheet([_tile((300, 150)), _tile((32, 32)), _tile((3, 3000))], title="three")
    assert [_extent(figure, number) for number in range(3)] == [(150, 75), (128, 128), (1, 150)]


def test_one_pixel_of_the_sheet_is_one_of_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    figure = contact_sheet([Tile(Image.fromarray(pixels), ())], title="one")
    written = io.BytesIO()
    figure.savefig(written, format="png")
    sheet = np.asarray(Image.open(written).convert("RGB"))
    left, _, _, top = (round(edge) for edge in figure.axes[0].images[0].get_extent())
    assert np.array_equal(sheet[top : top + 150, left : left + 150], pixels)


@pytest.mark.parametrize("name", ["IMG_20240101_123456789_holiday_with_everybody.jpeg", "x" * 300])
def test_a_long_name_is_shortened_in_its_middle(name: str) -> None:
    (text,) = [text.get_text() for text in contact_sheet([_tile((32, 32), name)], title="").axes[0].texts[1:]]
    before, _, after = text.partition("…")
    assert name.startswith(before)
    assert name.endswith(after)
    assert 12 < len(text) < 40


@pytest.mark.parametrize(
    "name", ["$x$ and $", "\udcff broken.png", "犬の写真.jpg", "two\nlines", "🐶.png", ""]
)
def test_any_name_is_drawn_without_a_warning(name: str) -> None:
    contact_sheet([_tile((32, 32), name, name)], title=name).savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("size", [(4000, 3000), (30, 6000), (150, 150), (32, 20), (1, 1)])
def test_a_tile_holds_no_more_than_is_drawn(size: tuple[int, int]) -> None:
    image = _tile(size).image
    assert max(image.size) <= 150
    assert image.size[0] * size[1] == pytest.approx(image.size[1] * size[0], rel=0.04) or 1 in image.size


def test_no_pictures_are_an_empty_sheet() -> None:
    figure = contact_sheet([], title="0 mistakes")
    figure.savefig(io.BytesIO(), format="png")
    assert figure.axes[0].texts[0].get_text() == "0 mistakes"
