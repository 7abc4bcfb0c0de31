"""What is said of the time that training waits for images: in each line, and once what to do."""

from __future__ import annotations

import io
import sys

import pytest

from rescli.report.progress import run as progress
from rescli.report.progress.image_wait import WaitVerdict, advice, waited_text
from rescli.training.events import EvalDone, EvalResult, EvalRunning, Event, MetricsReady, StepDone


def window(step: int, *, seconds: float, waited: float | None, images: int = 100) -> MetricsReady:
    return MetricsReady(step, 0.5, 0.1, 2.0, 80.0, images, images / seconds, seconds, waited)


def test_the_share_is_of_the_window() -> None:
    assert waited_text(window(10, seconds=8.0, waited=2.0)) == "25 %"
    assert waited_text(window(10, seconds=8.0, waited=9.0)) == "100 %"  # a window that a stop cut short
    assert waited_text(window(10, seconds=8.0, waited=None)) is None


def test_advice_is_for_more_than_a_tenth() -> None:
    assert advice(0.1) == ""
    assert "more workers" in advice(0.11)
    assert "more --workers" in advice(0.11, workers="--workers")
    assert "rescli data pack" in advice(0.11, pack="rescli data pack")


@pytest.mark.parametrize(
    ("start", "windows", "told_at"),
    [
        (0, [(50, 1.0, 0.5), (100, 1.0, 0.5), (150, 1.0, 0.5)], 100),  # by iterations, once
        (0, [(1, 25.0, 9.0), (2, 25.0, 9.0), (3, 25.0, 9.0), (4, 25.0, 9.0)], 3),  # by time
        (
            1000,
            [(1050, 1.0, 0.5), (1099, 1.0, 0.5), (1150, 1.0, 0.5)],
            1150,
        ),  # resumed: by its own iterations
        (0, [(100, 9.0, 0.9), (200, 9.0, 9.0)], None),  # judged once, and well
        (0, [(100, 9.0, None), (200, 9.0, None)], None),  # nothing to wait for
    ],
)
def test_the_verdict_falls_once(
    start: int, windows: list[tuple[int, float, float | None]], told_at: int | None
) -> None:
    verdict = WaitVerdict(start)
    said = {step: verdict(window(step, seconds=seconds, waited=waited)) for step, seconds, waited in windows}
    assert [step for step, sentence in said.items() if sentence] == ([told_at] if told_at else [])


def test_the_verdict_is_of_all_windows_so_far() -> None:
    verdict = WaitVerdict(0)
    assert verdict(window(60, seconds=10.0, waited=6.0)) is None  # the workers begin
    assert str(verdict(window(120, seconds=30.0, waited=2.0))).startswith(
        "training waits for images 20 % of the time; what helps: more workers"
    )


def test_the_best_validation_error_is_named_where_it_was_another() -> None:
    newest = progress.Newest()
    assert newest.val_text() == "-"
    for top1_error, best, text in (
        (9.0, True, "9.00 %"),
        (9.5, False, "9.50 % (best 9.00 %)"),
        (9.0, False, "9.00 %"),  # as good as the best, which stays the earlier one
    ):
        newest.update(EvalDone(10, 1.0, EvalResult(50, top1_error, 2.0, 0.5), best))
        assert newest.val_text() == text


def _shown(capsys: pytest.CaptureFixture[str], *events: Event) -> str:
    with progress.training_progress(name="net", total_steps=200) as sink:
        for event in events:
            sink(event)
    return capsys.readouterr().err


def test_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    shown = _shown(
        capsys, window(100, seconds=10.0, waited=4.0), window(200, seconds=10.0, waited=1.0)
    ).splitlines()
    assert [line.split()[0] for line in shown] == ["training", "iteration", "iteration"]
    assert "waits for images 40 % of the time; what helps" in shown[0]
    assert "10 img/s  waited 40 %  ETA" in shown[1]
    assert "10 img/s  waited 10 %  ETA" in shown[2]
    assert "waited" not in _shown(capsys, window(200, seconds=10.0, waited=None))


def test_a_line_that_is_due_at_a_step_says_the_newest_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    shown = _shown(
        capsys, StepDone(99, 0.1), window(100, seconds=10.0, waited=None), StepDone(150, 0.1)
    ).splitlines()
    assert shown[0] == "iteration     99/200"  # no window is over
    for line, step, left in ((shown[1], 100, "10.0 s"), (shown[2], 150, "5.0 s")):
        assert line.startswith(f"iteration {step:>6}/200  epoch")
        assert line.endswith(f"loss 2.0000  train error  80.00 %  10 img/s  ETA {left}")


def test_the_time_left_is_told_by_the_newest_window(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was busy for hours and is free again says so at the next window."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    busy = MetricsReady(100, 0.5, 0.1, 2.0, 80.0, 100, 0.1, 1000.0)
    free = MetricsReady(120, 0.6, 0.1, 2.0, 80.0, 40, 10.0, 1004.0)
    first, second = _shown(capsys, busy, free).splitlines()
    assert first.endswith("ETA 16 min 40 s")  # of the run so far: where its window began is not known
    assert second.endswith("10 img/s  ETA 16.0 s")  # 80 iterations of 2 images each


def test_a_validation_that_takes_long_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = EvalRunning(100, 320, 1000, 20.0)
    assert _shown(capsys, running) == ""  # a line is due every ten seconds
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    (line,) = _shown(capsys, running).splitlines()
    assert line == "iteration    100  validation 320/1000 images  16.0 images/s  ETA 42.5 s"


def test_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's name for: take it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    shown = _shown(capsys, window(100, seconds=10.0, waited=4.0))
    assert "training waits for images 40 % of the time" in shown
    assert "waited" in shown.split("of the time")[1]
    assert "waited" not in _shown(capsys, window(100, seconds=10.0, waited=None))


class _Gone(io.StringIO):
    """A stream that breaks."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "nobody reads"), OSError(28, "no space left")])
@pytest.mark.parametrize("terminal", [False, True])
def test_where_nobody_reads_it_falls_silent_and_the_stream_stays(
    monkeypatch: pytest.MonkeyPatch, error: OSError, *, terminal: bool
) -> None:
    """A library is a guest: the stream is its host's, who may have another use for it."""
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", gone := _Gone(error))
    with progress.training_progress(name="net", total_steps=200) as sink:
        for step in (100, 150):
            sink(window(step, seconds=10.0, waited=None))
    assert sys.stderr is gone
