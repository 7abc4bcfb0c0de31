import io

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rescli.report import comparison_figures


def log(*, start, end, count=40):
    rows = []
    for k in range(1, count + 1):
        error = start + (end - start) * k / count
        rows.append({"event": "train", "iteration": 10 * k, "top1_error": error})
        if k % 10 == 0:
            rows.append({"event": "val", "iteration": 10 * k, "top1_error": error + 2})
    return rows


@pytest.fixture
def drawn(monkeypatch):
    kept = []
    monkeypatch.setattr(
        comparison_figures, "Figure", lambda **options: kept.append(Figure(**options)) or kept[-1]
    )
    return kept


def test_plain_and_residual_nets_stand_side_by_side_one_colour_a_depth(drawn):
    lines = [
        (name, name, [log(start=90, end=end)])
        for name, end in (("plain-20", 10), ("plain-56", 20), ("resnet-20", 9), ("resnet-56", 5))
    ]
    data = comparison_figures.curves_figure(lines, format="png")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
    plain, resnet = drawn[0].axes
    assert [axes.get_title() for axes in (plain, resnet)] == ["plain nets", "resnet nets"]
    assert plain.get_ylim() == resnet.get_ylim()
    colors = [[line.get_color() for line in axes.lines] for axes in (plain, resnet)]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 2
    styles = [line.get_linestyle() for line in plain.lines]
    assert styles == ["--", "-", "--", "-"]


def test_of_several_seeds_the_mean_is_drawn(drawn):
    logs = [log(start=90, end=10), log(start=90, end=20)]
    comparison_figures.curves_figure([("resnet-20", "resnet-20", logs)], format="svg")
    _, val = drawn[0].axes[0].lines
    assert val.get_ydata()[-1] == pytest.approx(17)


def test_two_contenders_of_one_model_have_colours_of_their_own(drawn):
    lines = [(label, "resnet-20", [log(start=90, end=10)]) for label in ("a", "b")]
    comparison_figures.curves_figure(lines, format="png")
    assert len({line.get_color() for line in drawn[0].axes[0].lines}) == 2
