"""The ledger against section 4.2 of the paper."""

from __future__ import annotations

from typing import Any

import pytest

from rescli.spec.ledger.ledger import differences, ledger
from rescli.spec.ledger.row import LedgerRow
from rescli.spec.load import load_spec


def _rows(preset: str, *changes: tuple[str, Any]) -> dict[str, LedgerRow]:
    rows = ledger(load_spec(preset, changes))
    assert len({row.field for row in rows}) == len(rows)
    return {row.field: row for row in rows}


def _differing(preset: str, *changes: tuple[str, Any]) -> dict[str, str]:
    """Field -> verdict of the rows where the spec is not the paper."""
    rows = differences(list(_rows(preset, *changes).values()))
    return {row.field: row.verdict for row in rows}


@pytest.mark.parametrize(
    "net", ["resnet-20", "resnet-56", "resnet-110", "resnet-1202", "plain-20", "plain-56"]
)
def test_he2015_in_fp32_is_the_paper_but_for_the_second_gpu(net: str) -> None:
    """Section 4.2: a batch of 128 on two GPUs; each GPU normalised its own 64 images."""
    rows = _rows(f"he2015/{net}", ("precision", "fp32"))
    assert _differing(f"he2015/{net}", ("precision", "fp32")) == {"batch norm over": "differs"}
    assert (rows["batch norm over"].here, rows["batch norm over"].paper) == ("128 images", "64 images")
    assert "two GPUs" in rows["batch norm over"].note


def test_he2015_in_fp32_agrees_on_every_number_the_paper_gives() -> None:
    rows = _rows("he2015/resnet-20", ("precision", "fp32"))
    agreed = {field: row.paper for field, row in rows.items() if row.verdict == "same"}
    stated = {
        "data.dataset": "cifar10",
        "train / val images": "45000 / 5000",
        "data.normalization": "per-pixel-mean",
        "data.augment.pad": "4",
        "data.batch_size": "128",
        "iterations": "64000",
        "optimizer.lr": "0.1",
        "optimizer.momentum": "0.9",
        "optimizer.weight_decay": "0.0001",
        "schedule.milestones": "32000, 48000",
        "schedule.gamma": "0.1",
        "model.shortcut": "A",
        "precision": "fp32",
        "test view": "single 32x32 view",
    }
    assert {field: agreed.get(field) for field in stated} == stated


def test_what_the_paper_leaves_open_is_said_to_be_open() -> None:
    rows = _rows("he2015/resnet-20")
    not_stated = {field for field, row in rows.items() if row.verdict == "not stated"}
    assert not_stated == {"optimizer.decay", "momentum's form", "checkpoint"}


def test_the_default_names_its_batch_size() -> None:
    rows = _rows("cifar10/resnet-20")
    assert (rows["data.batch_size"].here, rows["data.batch_size"].paper) == ("256", "128")
    assert _differing("cifar10/resnet-20") == {
        "data.batch_size": "differs",
        "batch norm over": "differs",
        "precision": "differs",  # auto may be bf16
    }


def test_warm_up_row() -> None:
    row = _rows("he2015/resnet-110")["schedule.warmup"]
    assert row.here == row.paper == "0.1 lr until 80 % train error"
    assert row.verdict == "same"
    assert row.note == "read every 50 iterations"
    assert _rows("he2015/resnet-56")["schedule.warmup"].paper == "none"
    left_out = _rows("he2015/resnet-56", ("model.depth", 110))["schedule.warmup"]
    assert (left_out.here, left_out.verdict) == ("none", "differs")
    added = _rows("he2015/resnet-56", ("schedule.warmup", {}))["schedule.warmup"]
    assert (added.paper, added.verdict) == ("none", "differs")


def test_shapes_are_beyond_the_paper() -> None:
    rows = _rows("shapes/base")
    assert rows["data.dataset"].verdict == "beyond"
    assert "train / val images" not in rows  # the paper has no such split to compare with
    assert rows["model"].verdict == "same"  # resnet-20


@pytest.mark.parametrize("depth", [8, 14, 26, 164])
def test_a_depth_the_paper_did_not_train_is_beyond(depth: int) -> None:
    row = _rows("he2015/resnet-20", ("model.depth", depth))["model"]
    assert row.verdict == "beyond"
    assert row.here == f"resnet-{depth}"
    assert row.paper == "resnet: 20, 32, 44, 56, 110, 1202"


def test_plain_1202_is_beyond() -> None:
    assert _rows("he2015/plain-110")["model"].verdict == "same"
    assert _rows("he2015/plain-110", ("model.depth", 1202))["model"].verdict == "beyond"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("optimizer.lr", 0.05), "optimizer.lr"),
        (("optimizer.nesterov", True), "optimizer.nesterov"),
        (("optimizer.weight_decay", 5e-4), "optimizer.weight_decay"),
        (("optimizer.momentum", 0.8), "optimizer.momentum"),
        (("iterations", 32001), "iterations"),
        (("schedule.milestones", [100, 200]), "schedule.milestones"),
        (("schedule.gamma", 0.2), "schedule.gamma"),
        (("data.augment.flip", False), "data.augment.flip"),
        (("data.augment.pad", 2), "data.augment.pad"),
        (("data.normalization", "per-channel"), "data.normalization"),
        (("data.dataset.val_size", 1000), "train / val images"),
        (("model.shortcut", "B"), "model.shortcut"),
        (("model.width", 32), "model.width"),
        (("model.init_fan", "out"), "model.init_fan"),
        (("model.block", "bottleneck"), "model.block"),  # 20 = 9n+2 too
        (("precision", "bf16"), "precision"),
    ],
)
def test_each_departure_has_its_row(change: tuple[str, Any], field: str) -> None:
    before = _differing("he2015/resnet-20", ("precision", "fp32"))
    after = _differing("he2015/resnet-20", ("precision", "fp32"), change)
    assert after == {**before, field: "differs"}


def test_training_on_all_50000_is_open_not_wrong() -> None:
    row = _rows("he2015/resnet-20", ("data.dataset.val_size", 0))["train / val images"]
    assert (row.here, row.verdict) == ("50000 / 0", "not stated")


def test_a_shortened_course_says_so() -> None:
    rows = {row.field: row for row in ledger(load_spec("he2015/resnet-20").scaled(640))}
    assert rows["iterations"].verdict == "differs"
    assert rows["iterations"].note == "scaled from 64000: not comparable with published numbers"


def test_a_row_as_json() -> None:
    row = _rows("he2015/resnet-20")["optimizer.lr"]
    expected = {"field": "optimizer.lr", "here": "0.1", "paper": "0.1", "verdict": "same", "note": ""}
    assert row.to_dict() == expected
