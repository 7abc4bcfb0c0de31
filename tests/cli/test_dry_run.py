"""``rescli train --dry-run``: the whole spec, the plan and the ledger, and nothing written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.spec.ledger.ledger import ledger
from rescli.spec.load import load_spec, spec_from_dict

PARTS = {"preset", "spec", "spec_sha256", "plan", "estimate", "ledger"}


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == [], "a dry run writes nothing"


def test_json_is_exactly_one_object(rescli: Callable[..., Any]) -> None:
    answer = rescli("train", "--dataset", "cifar10", "--depth", "110", "--dry-run", "--json")
    assert (answer.code, answer.err) == (0, "")
    value, end = json.JSONDecoder().raw_decode(answer.out)
    assert answer.out[end:] == "\n"
    assert value.keys() == PARTS


def test_json_holds_spec_plan_estimate_and_ledger(rescli: Callable[..., Any]) -> None:
    facts = rescli("train", "--depth", "110", "--dry-run", "--json").json
    spec = load_spec("cifar10/resnet-110")
    assert facts["preset"] == "cifar10/resnet-110"
    assert spec_from_dict(facts["spec"]) == spec
    assert facts["spec_sha256"] == spec.fingerprint()
    plan = facts["plan"]
    assert (plan["iterations"], plan["batch_size"]) == (64000, 256)
    assert (plan["train_images"], plan["val_images"]) == (45000, 5000)
    assert plan["epochs"] == pytest.approx(64000 * 256 / 45000, abs=1e-3)
    assert [change["from_iteration"] for change in plan["lr"]] == [0, 32000, 48000]
    assert [change["lr"] for change in plan["lr"]] == pytest.approx([0.1, 0.01, 0.001])
    assert plan["triggers"] == [
        "until the training error falls below 80 %, the learning rate is 0.1 of these"
    ]
    assert (plan["evaluations"], plan["saved_states"]) == (64, 64)
    assert facts["estimate"]["params"] == 1_727_962
    assert facts["ledger"] == [row.to_dict() for row in ledger(spec)]


def test_json_takes_every_flag(rescli: Callable[..., Any]) -> None:
    facts = rescli(
        *("train", "quickstart", "--seed", 7, "--batch-size", 32, "--iterations", 12, "--precision", "fp32"),
        *("--shortcut", "B", "--set", "optimizer.lr=0.05", "--set", "evaluation.every=5"),
        *("--dry-run", "--json"),
    ).json
    spec = facts["spec"]
    assert (spec["seed"], spec["data"]["batch_size"], spec["iterations"]) == (7, 32, 12)
    assert (spec["precision"], spec["model"]["shortcut"], spec["optimizer"]["lr"]) == ("fp32", "B", 0.05)
    assert facts["plan"]["evaluations"] == 3  # at 5, 10 and 12
    assert facts["estimate"]["precision"] == "fp32"


def test_text_holds_a_spec_that_can_be_saved_and_trained(rescli: Callable[..., Any]) -> None:
    answer = rescli("train", "quickstart", "--dry-run")
    assert (answer.code, answer.err) == (0, "")
    head, _, rest = answer.out.partition("\n\n")
    spec = load_spec("quickstart")
    assert head == f"spec of {spec.name} (preset quickstart, sha256 {spec.fingerprint()[:12]})"
    toml, _, _ = rest.partition("\nplan\n")
    assert spec_from_dict(tomllib.loads(toml)) == spec


def test_text_of_the_plan(rescli: Callable[..., Any]) -> None:
    text = rescli("train", "he2015/resnet-110", "--dry-run").out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "iterations 64,000 of 128 images (182.0 epochs of 45,000)",
        "learning rate 0.1 from iteration 0",
        "0.01 from iteration 32,000",
        "0.001 from iteration 48,000",
        "saved states every 1,000 iterations, at the end, and when stopped",
        "network 1,727,962 parameters, 252.9 M multiply-adds an image",
    ):
        assert line in lines
    assert any(line.startswith("evaluations 64 on 5,000 val images, every 1,000") for line in lines)
    assert any(line.startswith("until the training error falls below 80 %") for line in lines)


def test_text_names_milestones_that_are_never_reached(rescli: Callable[..., Any]) -> None:
    text = rescli("train", "cifar10/resnet-20", "--iterations", 40000, "--dry-run").out
    assert "milestones beyond the end, never reached: 48,000" in text
    assert "0.001 from" not in text
    assert "never reached" not in rescli("train", "cifar10/resnet-20", "--dry-run").out


def test_text_says_when_nothing_will_be_evaluated(rescli: Callable[..., Any]) -> None:
    text = rescli("train", "cifar10/resnet-20", "--set", "data.dataset.val_size=0", "--dry-run").out
    assert "none: no val images" in text


def test_text_says_what_a_budget_does(rescli: Callable[..., Any]) -> None:
    text = rescli("train", "quickstart", "--budget", "20m", "--dry-run").out
    assert "20m: the schedule is shortened in proportion" in " ".join(text.split())
    assert "shortened" not in rescli("train", "quickstart", "--dry-run").out


def test_text_of_the_ledger_has_every_row_with_its_verdict(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no cell is folded
    _, _, table = rescli("train", "cifar10/resnet-20", "--dry-run").out.partition("\nledger: ")
    lines = [" ".join(line.split()) for line in table.splitlines()]
    for row in ledger(load_spec("cifar10/resnet-20")):
        assert any(line.startswith(f"{row.verdict} {row.field} {row.here} {row.paper}") for line in lines)


def test_a_plan_that_cannot_be_is_refused(rescli: Callable[..., Any]) -> None:
    answer = rescli("train", "--depth", "57", "--dry-run", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "56 (n=9) and 62 (n=10)" in answer.err
