"""Progress in a notebook: one output, replaced as the run goes on, without widgets."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from rescli.report.progress import notebook
from rescli.report.progress.run import training_progress
from rescli.training.events import EngineChosen, FitDone, MetricsReady, StepDone


class Cell:
    """What a notebook's display keeps: every picture that was shown in one output."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.outputs = 0

    def display(self, picture: str, *, display_id: bool) -> Cell:
        self.outputs += 1
        self.update(picture)
        return self

    def update(self, picture: str) -> None:
        self.shown.append(picture)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    made: Any = ModuleType("IPython.display")
    made.HTML, cell = str, Cell()
    made.display = cell.display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", made)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(notebook, "_REFRESH_SECONDS", 0.0)
    return cell


def test_the_bar_the_engine_and_the_newest_numbers_are_seen(
    cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress(name="cifar10-resnet-20", total_steps=200) as sink:
        sink(EngineChosen(0, "eager", "plain"))
        sink(StepDone(100, 0.1))
        sink(MetricsReady(100, 0.5, 0.1, 1.2345, 67.89, 100, 50.0, 2.0))
        sink(FitDone(200))
    assert cell.outputs == 1
    assert "first iterations" in cell.shown[0]
    for words in ("cifar10-resnet-20", "200/200", "1.2345", "67.89", "engine eager, plain kernels"):
        assert words in cell.shown[-1]
    assert capsys.readouterr() == ("", "")
