from rescli.report.sparklines import sparkline


def test_from_nothing_to_the_highest():
    assert sparkline([0, 50, 100], highest=100) == "▁▅█"
    assert sparkline([], highest=100) == ""
    assert sparkline([0.0], highest=0.0) == "▁"


def test_longer_curves_are_averaged():
    line = sparkline(list(range(1000)), highest=999)
    assert len(line) == 32
    assert line == "".join(sorted(line))
    assert (line[0], line[-1]) == ("▁", "█")
