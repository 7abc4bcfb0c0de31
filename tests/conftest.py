"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cifar_root() -> Path:
    """The directory of the real CIFAR-10 files, as RESCLI_DATA names it."""
    given = os.environ.get("RESCLI_DATA")
    if not given:
        pytest.skip("RESCLI_DATA is not set")
    return Path(given)
