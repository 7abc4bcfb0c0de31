"""Names of any script in pictures: drawn where a font has the letters, else numbers with a legend."""

from __future__ import annotations

import io
import unicodedata

import pytest
from matplotlib import font_manager

from rescli.report import figures, fonts
from rescli.report.contact_sheet import Line, Tile, contact_sheet
from rescli.report.fonts import families_for, picture_names

NAMES = [
    *("cat", "猫", "كلب", "हिन्दी", "emoji 😀", "🐶", "한국어"),
    *("$a_{x}$ 50% ^_", "[red]x[/]", "<b>&amp;", "two\nlines\t", "\x1b[31mred", "caf\udce9", "_x", ""),
]


@pytest.fixture
def nothing_but_the_usual_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: ())
    fonts._family_of.cache_clear()
    yield  # type: ignore[misc]
    fonts._family_of.cache_clear()


def in_another_font_alone() -> str:
    """A letter that some installed font has, and the usual one lacks."""
    usual = fonts._letters(tuple(font_manager.FontProperties().get_family()))
    for name in fonts._installed():
        for code in sorted(fonts._letters((name,)) - usual):
            letter = chr(code)
            if unicodedata.category(letter)[0] in "LS" and letter.isprintable():
                return letter
    pytest.skip("no installed font has a letter that the usual one lacks")


@pytest.mark.usefixtures("nothing_but_the_usual_font")
def test_what_no_font_has_is_a_number_that_the_legend_explains() -> None:
    names = picture_names(["cat", "猫", "dog", "犬 (dog)"])
    assert names.labels == ("cat", "#1", "dog", "#3")
    assert names.legend == ("#1 猫", "#3 犬 (dog)")


def test_what_another_font_has_is_drawn_with_it() -> None:
    letter = in_another_font_alone()
    names = picture_names(["cat", letter * 3])
    assert names.labels == ("cat", letter * 3)
    assert names.legend == ()
    assert len(names.families) == len(families_for(["cat"])) + 1


def test_without_shaping_scripts_that_join_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_shapes", lambda: False)
    assert picture_names(["كلب"]).labels == ("#0",)
    monkeypatch.setattr(fonts, "_shapes", lambda: True)
    assert picture_names(["cat"]).labels == ("cat",)


def test_signs_are_what_they_are_and_control_characters_are_spelled() -> None:
    names = ["$a_{x}$ 50%", "two\nlines\t", "\x1b[31m", "caf\udce9"]
    assert picture_names(names).labels == ("$a_{x}$ 50%", r"two\nlines\t", r"\x1b[31m", r"caf\xe9")


def test_long_names_are_cut_and_stay_apart() -> None:
    same = ["x" * 30 + "1" + "y" * 30, "x" * 30 + "2" + "y" * 30, "z" * 24]
    labels = picture_names(same).labels
    assert labels[2] == "z" * 24
    assert labels[0].endswith(" #0")
    assert labels[1].endswith(" #1")
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= 27
    assert [line.partition(" ")[0] for line in picture_names(same).legend] == ["#0", "#1"]


@pytest.mark.usefixtures("nothing_but_the_usual_font")
@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_no_picture_of_any_name_warns(format: str) -> None:
    """Warnings are errors here."""
    size = len(NAMES)
    counts = [[size * (i == j) + 1 for j in range(size)] for i in range(size)]
    figure = figures.confusion_figure(counts, NAMES, title=" ".join(NAMES))
    assert figures.as_bytes(figure, format)
    from PIL import Image

    tiles = [
        Tile(Image.new("RGB", (8, 8)), (Line(name, bold=True), Line(name, middle=True))) for name in NAMES
    ]
    contact_sheet(tiles, title=" ".join(NAMES)).savefig(io.BytesIO(), format=format)


@pytest.mark.parametrize("size", [100, 1000])
def test_many_classes_stay_readable_and_the_picture_bounded(size: int) -> None:
    from PIL import Image

    counts = [[0] * size for _ in range(size)]
    for true in range(size):
        counts[true][true] = 40
    counts[7][93] = 25
    counts[93][7] = 12
    figure = figures.confusion_figure(counts, [f"class {k}" for k in range(size)], title="t")
    with Image.open(io.BytesIO(figures.as_bytes(figure, "png"))) as image:
        assert max(image.size) <= 2600
    matrix = figure.axes[0]
    if size == 100:
        assert matrix.get_yticklabels()[93].get_text() == "class 93"
    else:
        block = -(-size // 250)
        assert matrix.images[0].get_array()[7 // block][93 // block] == pytest.approx(100 * 25 / 65)
        assert matrix.get_xlim() == (-0.5, size - 0.5)
        (beside,) = [axes.texts[0].get_text() for axes in figure.axes if axes.texts]
        assert beside.splitlines()[1:5] == [
            *("25 of 65  7 class 7", "      as 93 class 93"),
            *("12 of 52  93 class 93", "      as 7 class 7"),
        ]


@pytest.mark.usefixtures("nothing_but_the_usual_font")
def test_names_of_files_are_numbers_of_their_own_and_never_cut() -> None:
    names = fonts.file_names(["a.jpg", "ねこ.jpg", "l" * 60, "t\tab\x1b[31m.jpg"])
    assert names.labels == ("a.jpg", "file #2", "l" * 60, "t\\tab\\x1b[31m.jpg")
    assert names.legend == ("file #2 ねこ.jpg",)
