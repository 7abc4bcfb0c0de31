"""The bar of an evaluation or a prediction: where it is shown, and that it goes."""

from __future__ import annotations

from typing import Any

import pytest

from rescli.report.progress import counting as counting_module
from rescli.report.progress.counting import counting


def test_a_notebook_shows_it_until_it_is_over(notebook_cell: Any) -> None:
    with counting(None) as show:
        show(250, 1000)
        assert "250/1000" in notebook_cell.left
        show(1000, 1000)
        show(400, 4000)  # the next net
        assert "400/4000" in notebook_cell.left
    assert len(notebook_cell.outputs) == 1
    assert "/" not in notebook_cell.left.replace("</pre>", "")


def test_nothing_is_left_where_there_was_nothing_to_count(notebook_cell: Any) -> None:
    with counting(None):
        pass
    with counting(None, unit="pictures", few=20) as show:
        show(20, 20)
    assert notebook_cell.outputs == []


def test_a_terminal_shows_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's name for: take it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with counting(None, unit="pictures") as show:
        show(30, 60)
    out, err = capsys.readouterr()
    assert out == ""
    assert "pictures" in err
    assert "30/60" in err


def test_elsewhere_it_is_lines_where_they_are_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_module, "LINE_SECONDS", 0.0)
    told: list[tuple[int, int]] = []
    for progress in (None, False, lambda done, total: told.append((done, total))):
        with counting(progress) as show:
            show(1, 2)
    assert capsys.readouterr() == ("", "")
    assert told == [(1, 2)]
    with counting(True) as show:
        show(1, 2)
    assert capsys.readouterr() == ("", "1/2 views\n")


def test_a_line_says_how_many_how_fast_and_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 16.0, 20.0, 33.0])
    monkeypatch.setattr(counting_module.time, "monotonic", lambda: next(clock))
    with counting(True) as show:
        show(50, 1000)  # too early for a line
        show(160, 1000)
        show(40, 1000)  # the next net
        show(170, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "160/1000 views  10.0 views/s  ETA 1 min 24 s",
        "170/1000 views  13.1 views/s  ETA 1 min 3 s",
    ]
