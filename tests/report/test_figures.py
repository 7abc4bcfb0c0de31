import io

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rescli.report import figures


def rows_of(count):
    for step in range(10, 10 * count + 10, 10):
        yield {"event": "train", "iteration": step, "top1_error": 90 - 80 * step / (10 * count)}
        if step % 50 == 0:
            yield {"event": "val", "iteration": step, "top1_error": 92 - 80 * step / (10 * count)}


@pytest.fixture
def drawn(monkeypatch):
    """The figure behind the PNG."""
    kept = []
    monkeypatch.setattr(figures, "ShownFigure", lambda **options: kept.append(Figure(**options)) or kept[-1])
    return kept


def test_training_is_dashed_and_validation_bold_against_iterations(drawn):
    rows = list(rows_of(20))
    png = figures.curves_png(rows, title="cifar10-resnet-20")
    train, val = drawn[0].axes[0].get_lines()
    assert train.get_linestyle() == "--"
    assert val.get_linestyle() == "-"
    assert val.get_linewidth() > 1.5 * train.get_linewidth()
    assert list(train.get_xdata()) == [row["iteration"] for row in rows if row["event"] == "train"]
    assert list(val.get_ydata()) == [row["top1_error"] for row in rows if row["event"] == "val"]
    assert drawn[0].axes[0].get_xlabel() == "iterations"
    picture = Image.open(io.BytesIO(png))
    assert picture.size == (960, 660)


def test_many_windows_are_averaged_not_dropped(drawn):
    rows = list(rows_of(1280))
    figures.curves_png(rows, title="long")
    train = drawn[0].axes[0].get_lines()[0]
    errors = [row["top1_error"] for row in rows if row["event"] == "train"]
    assert len(train.get_xdata()) <= figures.MAX_POINTS
    assert train.get_xdata()[-1] == 12800
    group = -(-1280 // figures.MAX_POINTS)
    assert train.get_ydata()[0] == pytest.approx(sum(errors[:group]) / group)


def test_small_errors_are_not_blown_up(drawn):
    rows = [
        {"event": "val", "iteration": 1, "top1_error": 0.5},
        {"event": "val", "iteration": 2, "top1_error": 0.4},
    ]
    figures.curves_png(rows, title="done")
    assert drawn[0].axes[0].get_ylim() == (0, 20)


def test_a_run_without_validation_images_still_has_a_curve(drawn):
    figures.curves_png([{"event": "train", "iteration": 1, "top1_error": 90.0}], title="no val")
    assert len(drawn[0].axes[0].get_lines()) == 2


def test_the_confusion_matrix_names_its_classes_and_writes_its_counts(drawn):
    figure = figures.confusion_figure([[8, 2], [0, 0]], ["cat", "dog"], title="t")
    with Image.open(io.BytesIO(figures.as_bytes(figure, "png"))) as image:
        assert image.format == "PNG"
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "0"]
    # Shares of the true class; a class without images is no division by zero.
    assert axes.images[0].get_array().tolist() == [[80, 20], [0, 0]]


def test_of_many_classes_neither_names_nor_counts_are_written(drawn):
    size = 150
    counts = [[int(i == j) for j in range(size)] for i in range(size)]
    figures.confusion_figure(counts, [str(k) for k in range(size)], title="t")
    axes = drawn[0].axes[0]
    assert not list(axes.texts)
    assert "149" not in [label.get_text() for label in axes.get_yticklabels()]


def test_names_of_folders_are_drawn_as_they_are():
    names = ["$a_{$", "caf\udce9", "n01440764"]
    counts = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    figure = figures.confusion_figure(counts, names, title="$x")
    svg = figures.as_bytes(figure, "svg").decode()
    # Each name is drawn as a group of glyphs under a comment that says what they are.
    drawn = {name: svg.count(f"<!-- {name} -->") for name in ("$a_{$", r"caf\xe9", "n01440764")}
    assert all(count == 2 for count in drawn.values()), drawn
    for format, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert figures.as_bytes(figure, format).startswith(magic)
