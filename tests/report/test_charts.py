import pytest

from rescli.report.charts import Line, line_chart


def test_points_are_placed_by_hand():
    chart = line_chart("t", [Line("a", 0, [(0, 0), (100, 50)])], x_label="x", y_label="y")
    first, last = chart.lines[0].dots
    assert (first.x, first.y) == (chart.left, chart.bottom)
    assert last.x == chart.right
    # The axis ends 5 % above the highest value.
    assert last.y == pytest.approx(chart.bottom - (chart.bottom - chart.top) / 1.05, abs=0.06)


def test_ticks_are_round_and_within():
    chart = line_chart("t", [Line("a", 0, [(0, 3), (64000, 91)])], x_label="x", y_label="y")
    assert [text for _, text in chart.x_ticks] == ["0", "20k", "40k", "60k"]
    assert [text for _, text in chart.y_ticks] == ["0", "20", "40", "60", "80"]
    assert all(chart.left <= at <= chart.right for at, _ in chart.x_ticks)


@pytest.mark.parametrize("points", [[(1, 0.0)], [(5, 2.0)]])
def test_one_point_is_a_chart_too(points):
    chart = line_chart("t", [Line("a", 0, points), Line("none", 1, [])], x_label="x", y_label="y", x_from=1)
    assert [line.label for line in chart.lines] == ["a"]
