"""What commands print on narrow screens, into logs, and where there is nothing but ASCII."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescli = Callable[..., Any]
Flags = Callable[..., list[object]]


def test_the_end_and_the_beginning_of_a_run_fit_their_screens(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    answer = rescli("train", *small_flags(pairs, iterations=1, batch_size=8), "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    title, *rows = answer.out.splitlines()
    assert title.endswith("after 1 iteration")
    assert [row.split()[0] for row in rows[:3]] == ["train", "val", "val"]
    assert "..." not in "".join(rows[:3])
    head, *after = answer.err.partition("differs from the paper in ")[2].splitlines()
    assert head == "7 choices:"
    assert all(line.startswith("  ") and len(line) <= 80 for line in after[:8])
    assert after[8].startswith("run directory")
    assert after[2].split() == ["model.width", "4", "(paper:", "64)"]


def test_signs_that_a_stream_lacks_are_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    from rescli.cli.app import main

    seen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(seen, encoding="ascii", write_through=True))
    monkeypatch.setattr(sys, "argv", ["rescli", "models", "show", "resnet-18"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    text = seen.getvalue().decode("ascii")
    assert "224x224 images" in text
    assert "\\x" not in text


def test_signs_that_stand_together_are_spelled_each() -> None:
    from rescli.cli.output import streams

    codecs.register_error("test-spelled", streams._spelled)
    assert "é×…\udcff".encode("ascii", "test-spelled") == b"\\xe9x...\\udcff"
    assert "a×b".encode("latin-1", "test-spelled") == b"a\xd7b"


@pytest.mark.parametrize("command", [("data", "verify", "imagefolder"), ("data", "pack", "imagefolder")])
def test_a_log_hears_how_far_the_reading_of_photographs_is(
    rescli: Rescli, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A line every ten seconds, here every hundred."""
    from rescli.report.progress import counting

    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(counting.time, "monotonic", lambda: float(next(clock)))
    out = ("--out", tmp_path / "packed") if command[1] == "pack" else ()
    answer = rescli(*command, "--data-root", pairs, *out)
    assert answer.code == 0, answer.err
    assert "/8 train images  " in answer.err
    assert "train images/s  ETA " in answer.err
