"""Remedies as the command line words them."""

from __future__ import annotations

import pytest

from rescli.cli.remedies import as_flag, next_steps
from rescli.errors import UsageError
from rescli.remedy import Remedy


@pytest.mark.parametrize(
    ("remedy", "flag"),
    [
        (Remedy("data_root", "DIR"), "--data-root DIR"),
        (Remedy("optimizer.lr", 0.1, "for a start"), "--set optimizer.lr=0.1 (for a start)"),
        (Remedy("skip_damaged"), "--skip-damaged"),
        (Remedy("resume", "runs/my net"), "rescli train --resume 'runs/my net'"),
    ],
)
def test_as_flag(remedy: Remedy, flag: str) -> None:
    assert as_flag(remedy) == flag


def test_what_can_be_typed_is_introduced_by_try() -> None:
    error = UsageError("no", hint="rescli presets", remedy=Remedy("device", "cpu"))
    assert next_steps(error) == "\n  try: rescli presets\n  --device cpu"
    assert next_steps(UsageError("no")) == ""
