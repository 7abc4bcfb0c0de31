"""Several runs on the screen: the plan, a row for each run, and the nets that are tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rescli.report.progress import counting
from rescli.report.progress.study import study_progress
from rescli.spec.load import load_spec
from rescli.studies import events
from rescli.studies.queued_run import QueuedRun
from rescli.training.events import EngineChosen, EvalDone, EvalResult, Event, FitDone, MetricsReady


@pytest.fixture
def queue(tmp_path: Path) -> tuple[QueuedRun, ...]:
    specs = [load_spec(f"shapes/{name}", [("iterations", 200)]) for name in ("plain-14", "resnet-44")]
    return tuple(QueuedRun.below(tmp_path, spec) for spec in specs)


def story(queue: tuple[QueuedRun, ...]) -> list[events.StudyEvent]:
    """The first run trains to its end, the second diverges, and the first is tested."""
    first, second = queue
    training: list[Event] = [
        EngineChosen(0, "eager", "plain"),
        EvalDone(50, 0.2, EvalResult(50, 11.5, 2.0, 0.5), best=True),
        MetricsReady(100, 0.5, 0.1, 1.2345, 67.89, 100, 1234.0, 2.0),
        EvalDone(200, 1.0, EvalResult(50, 12.25, 2.0, 0.5), best=False),
        FitDone(200),
    ]
    return [
        events.PlanMade(tuple(run.planned() for run in queue)),
        events.TrainingBegins(queue),
        events.RunBegun(first, 0),
        *(events.RunEvent(first, event) for event in training),
        events.RunEnded(first),
        events.RunBegun(second, 50),
        events.RunEnded(second, ValueError("diverged")),
        events.Note("it diverged"),
        events.Testing(),
        events.Testing(300, 1000),
    ]


def rows(picture: str) -> dict[str, str]:
    """Name of a run to its row, without markup."""
    text = re.sub("<[^>]+>", "", picture)
    return {line.split()[0]: line for line in text.splitlines() if re.match("shapes-", line)}


def test_a_notebook_shows_plan_queue_and_tests_in_one_output(
    notebook_cell: Any, queue: tuple[QueuedRun, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with study_progress(None) as sink:
        for event in story(queue):
            sink(event)
            if isinstance(event, events.RunEvent) and isinstance(event.event, MetricsReady):
                training = rows(notebook_cell.left)
        assert "300/1000" in notebook_cell.left
    assert len(notebook_cell.outputs) == 1
    assert "trains" in training["shapes-plain-14-seed0"]
    assert "100/200" in training["shapes-plain-14-seed0"]
    assert "waits" in training["shapes-resnet-44-seed0"]
    left = rows(notebook_cell.left)
    for words in ("done", "200/200", "1.2345", "67.89 %", "12.25 % (best 11.50 %)", "1,234"):
        assert words in left["shapes-plain-14-seed0"]
    assert "stopped" in left["shapes-resnet-44-seed0"]
    assert "50/200" in left["shapes-resnet-44-seed0"]
    order = [notebook_cell.left.index(words) for words in ("missing", "it diverged", "done", "testing ...")]
    assert order == sorted(order)
    assert "300/1000" not in notebook_cell.left
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_in_a_script_unless_it_is_wanted(
    queue: tuple[QueuedRun, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for progress in (None, False):
        with study_progress(progress) as sink:
            for event in story(queue):
                sink(event)
    assert capsys.readouterr() == ("", "")
    with study_progress(True) as sink:
        for event in story(queue):
            sink(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["it diverged", "testing ..."]
    assert "shapes-resnet-44-seed0: from iteration 50 of 200" in lines


def test_lines_say_how_far_a_long_test_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four nets on the images of CIFAR-10 take minutes on a CPU."""
    monkeypatch.setattr(counting, "LINE_SECONDS", 0.0)
    with study_progress(True) as sink:
        sink(events.Testing())
        sink(events.Testing(12800, 45000))
    assert capsys.readouterr().err.splitlines() == ["testing ...", "12800/45000 views"]


def test_quiet_tells_what_went_wrong(
    queue: tuple[QueuedRun, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with study_progress(quiet=True, plan=False) as sink:
        for event in story(queue):
            sink(event)
    assert capsys.readouterr() == ("", "it diverged\n")


def test_a_terminal_shows_a_row_for_each_run(
    queue: tuple[QueuedRun, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's name for: take it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with study_progress() as sink:
        for event in story(queue):
            sink(event)
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("stopped", "200/200", "1.2345", "300/1000"):
        assert words in err


def test_a_study_in_lines_names_what_packs_images_as_its_reader_does(
    queue: tuple[QueuedRun, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    waits = MetricsReady(100, 0.5, 0.1, 1.2345, 67.89, 100, 10.0, 10.0, 8.0)
    with study_progress(pack="rescli data pack") as sink:
        for event in (
            events.TrainingBegins(queue),
            events.RunBegun(queue[0], 0),
            events.RunEvent(queue[0], waits),
        ):
            sink(event)
    assert "images packed once by rescli data pack" in capsys.readouterr().err
