"""Folders of made photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from photographs import put_pictures, write_torture


@pytest.fixture
def put_files() -> Callable[..., Path]:
    return put_pictures


@pytest.fixture
def torture(tmp_path: Path) -> Path:
    root = tmp_path / "torture"
    write_torture(root)
    return root
