import io

import pytest

from rescli.report.comparison.figures import curves_figure
from rescli.studies.curves import RunCurves
from rescli.studies.reproduction import NetCurves


def curves(*, start, end, count=40):
    points = [(10 * k, start + (end - start) * k / count) for k in range(1, count + 1)]
    return RunCurves(tuple(points), tuple((step, error + 2) for step, error in points[9::10]))


def net(label, *seeds, model=None):
    return NetCurves(label, model or label, seeds)


def test_plain_and_residual_nets_stand_side_by_side_one_colour_a_depth():
    nets = [
        net(name, curves(start=90, end=end))
        for name, end in (("plain-20", 10), ("plain-56", 20), ("resnet-20", 9), ("resnet-56", 5))
    ]
    plain, resnet = curves_figure(nets).axes
    assert [axes.get_title() for axes in (plain, resnet)] == ["plain nets", "ResNets"]
    assert plain.get_ylim() == resnet.get_ylim()
    colors = [[line.get_color() for line in axes.lines] for axes in (plain, resnet)]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 2
    styles = [line.get_linestyle() for line in plain.lines]
    assert styles == ["--", "-", "--", "-"]


def test_of_several_seeds_the_mean_is_drawn():
    figure = curves_figure([net("resnet-20", curves(start=90, end=10), curves(start=90, end=20))])
    _, val = figure.axes[0].lines
    assert val.get_ydata()[-1] == pytest.approx(17)


def test_two_contenders_of_one_model_have_colours_of_their_own():
    nets = [net(label, curves(start=90, end=10), model="resnet-20") for label in ("a", "b")]
    assert len({line.get_color() for line in curves_figure(nets).axes[0].lines}) == 2


def test_the_verdict_stands_above_the_curves():
    nets = [net("plain-8", curves(start=90, end=10)), net("resnet-8", curves(start=90, end=5))]
    title = "Degradation and its cure: $ is text."
    assert curves_figure(nets, title=title).get_suptitle().replace("\n", " ") == title.replace("$", r"\$")


def test_names_in_the_legend_are_what_they_are():
    """A run directory may have any name."""
    nets = [
        net(label, curves(start=90, end=10), model="resnet-20") for label in ("_run", "$a$", "two\nlines")
    ]
    figure = curves_figure(nets)
    figure.savefig(io.BytesIO(), format="svg")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        *("_run", "$a$", r"two\nlines"),
    ]
