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
        (Remedy("resume", "x", "goes on", also={"nproc": 2}), "rescli train --resume x --nproc 2  # goes on"),
        (
            Remedy("train_on", "x", also={"data_root": "my photos", "data.skip_damaged": True}),
            "rescli train x/spec.toml --from x --data-root 'my photos' --skip-damaged --out NEW_DIR",
        ),
        (Remedy("resume", "x", also={"data_root": None}), "rescli train --resume x"),
        (
            Remedy("data.batch_size", 64, "both", also={"optimizer.lr": 0.1}),
            "--batch-size 64 --set optimizer.lr=0.1 (both)",
        ),
    ],
)
def test_as_flag(remedy: Remedy, flag: str) -> None:
    assert as_flag(remedy) == flag


def test_what_can_be_typed_is_introduced_by_try() -> None:
    error = UsageError("no", hint="rescli presets", remedy=Remedy("device", "cpu"))
    assert next_steps(error) == "\n  try: rescli presets\n  --device cpu"
    assert next_steps(UsageError("no")) == ""


def test_what_goes_with_a_flag_is_left_out_where_the_command_has_no_such_flag() -> None:
    remedy = Remedy("dataset", "imagefolder", also={"classes": "wnids", "data.batch_size": 4})
    assert as_flag(remedy) == "--dataset imagefolder --classes wnids --batch-size 4"
    assert as_flag(remedy, {"dataset", "set_"}) == "--dataset imagefolder --set data.batch_size=4"
