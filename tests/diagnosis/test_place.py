"""The place of runs: written, locked in two processes, and left as it was."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rescli.diagnosis import place
from rescli.diagnosis.findings import Part
from rescli.diagnosis.place import look_at_place, look_at_working_folders


def levels(part: Part) -> list[str]:
    return [finding.level for finding in part.findings]


def texts(part: Part) -> str:
    return "\n".join(finding.text for finding in part.findings)


def test_a_folder_is_written_and_left_as_it_was(tmp_path: Path) -> None:
    part = look_at_place(tmp_path)
    assert "problem" not in levels(part), texts(part)
    assert part.facts["writable"] is True
    assert part.facts["locks"] is True
    assert part.facts["locks_stood_in"] is False
    assert isinstance(part.facts["save_seconds"], float)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there_yet_is_that_above_it(tmp_path: Path) -> None:
    part = look_at_place(tmp_path / "runs" / "of" / "mine")
    assert part.facts["path"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    part = look_at_place(tmp_path / "runs")
    assert levels(part) == ["problem"]
    assert "is no folder" in texts(part)


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    part = look_at_place(tmp_path)
    assert part.facts["writable"] is False
    assert levels(part)[-1] == "problem"
    assert part.findings[-1].text == f"cannot write in {tmp_path}: Read-only file system"


def test_a_disk_that_is_full_is_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.statvfs(tmp_path)
    full = os.statvfs_result((*found[:3], 0, 0, *found[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    part = look_at_place(tmp_path)
    assert levels(part) == ["problem"]
    assert "0 bytes free" in texts(part)


def test_locks_that_do_not_hold_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that grants every lock."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    part = look_at_place(tmp_path)
    assert part.facts["locks"] is False
    assert levels(part)[-1] == "problem"
    assert "'got' while this one held the lock" in texts(part)


def test_where_there_are_no_locks_a_file_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    monkeypatch.setattr(place, "_of_another_process", lambda _lock: "none No locks available")
    part = look_at_place(tmp_path)
    assert part.facts["locks_stood_in"] is True
    assert levels(part)[-1] == "note"
    assert "no locks on this file system (No locks available): a file stands in" in texts(part)
    assert list(tmp_path.iterdir()) == []


def test_where_no_process_can_be_begun_locks_are_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(subprocess, "run", refuse)
    part = look_at_place(tmp_path)
    assert part.facts["locks"] is None
    assert part.findings[-1].level == "note"
    assert part.findings[-1].text.endswith("no other process can be begun (Permission denied)")


def test_a_cache_and_temporary_files_that_cannot_be_written_are_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone" / "file"))
    part = look_at_working_folders()
    assert part.facts["cache_writable"] is False
    assert "Not a directory" in texts(part)
    assert f"TMPDIR={tmp_path}/gone/file cannot be" in texts(part)
    assert set(levels(part)) == {"note", "ok"}
