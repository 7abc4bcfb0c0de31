"""Progress in a notebook: one output, replaced as the work goes on, without widgets."""

from __future__ import annotations

from typing import Any

import pytest
from rich.text import Text

from rescli.report.progress import notebook
from rescli.report.progress.run import training_progress
from rescli.training.events import EngineChosen, FitDone, MetricsReady, StepDone


def test_the_bar_the_engine_and_the_newest_numbers_are_seen(
    notebook_cell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress(name="cifar10-resnet-20", total_steps=200) as sink:
        sink(EngineChosen(0, "eager", "plain"))
        sink(StepDone(100, 0.1))
        assert "100/200" in notebook_cell.left
        sink(MetricsReady(100, 0.5, 0.1, 1.2345, 67.89, 100, 50.0, 2.0))
        sink(FitDone(200))
    (output,) = notebook_cell.outputs
    assert "first iterations" in output[0]
    for words in ("cifar10-resnet-20", "200/200", "1.2345", "67.89", "engine eager, plain kernels"):
        assert words in output[-1]
    assert capsys.readouterr() == ("", "")


def test_what_is_over_stays_above_what_comes(notebook_cell: Any) -> None:
    screen = notebook.Notebook()
    screen.say("the <plan>")
    with screen.showing(Text("first")):
        screen.say("said meanwhile")
    with screen.showing(Text("gone"), transient=True):
        assert "gone" in notebook_cell.left
    with screen.showing(Text("second")):
        pass
    assert len(notebook_cell.outputs) == 1
    parts = ("the &lt;plan&gt;", "said meanwhile", "first", "second")
    places = [notebook_cell.left.index(part) for part in parts]
    assert places == sorted(places)
    assert "gone" not in notebook_cell.left


def test_a_picture_is_not_sent_more_often_than_it_can_be_seen(
    notebook_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_REFRESH_SECONDS", 60.0)
    with notebook.Notebook().showing(Text("bar")) as changed:
        for _ in range(100):
            changed()
    assert len(notebook_cell.outputs[0]) == 2  # at the beginning and at the end


def test_columns_stand_below_each_other(notebook_cell: Any) -> None:
    notebook.Notebook().say("a line")
    assert "monospace" in notebook_cell.left
