"""Files of a run whose content is of another type, correctly signed: exit 4 and the name of the field."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from rescli.checkpoints.serialise import serialise
from rescli.errors import CheckpointError
from rescli.workflows.results.run import Run

Rescli = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import rescli

    out = tmp_path_factory.mktemp("types") / "run"
    small = {
        "iterations": 2,
        "data.batch_size": 8,
        "data.dataset.num_train": 100,
        "model.width": 4,
        "checkpoint.every": 1,
    }
    rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out=str(out), device="cpu", progress=False)
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def sign(path: Path, **changes: object) -> None:
    """Write a safetensors file anew with other metadata, and with the hash of what it holds then."""
    with safe_open(path, "pt") as file:
        texts = {key: text for key, text in file.metadata().items() if key != "content_sha256"}
    texts |= {key: json.dumps(value) for key, value in changes.items()}
    path.write_bytes(b"".join(serialise(load_file(path), texts)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"class_names": 3}, "class_names is 3; allowed: a list"),
        ({"class_names": ["a", 3]}, "class_names[1] is 3; allowed: a text"),
        ({"class_names": []}, "class_names is a list of 0; allowed: 1 or more values"),
        ({"spec": 1}, "spec is 1; allowed: an object"),
        ({"results": {"train": "x"}}, "results.train is 'x'; allowed: an object"),
        ({"results": {"val": {"interval95": [-1, 3]}}}, "results.val.interval95[0] is -1; allowed: 0 to 100"),
        (
            {"results": {"val": {"top1_error": float("nan")}}},
            "results.val.top1_error is NaN; allowed: a finite",
        ),
        ({"results": {"val": {"loss": float("inf")}}}, "results.val.loss is Infinity; allowed: a finite"),
        ({"iteration": "7"}, "iteration is '7'; allowed: a whole number"),
        ({"iteration": 10**30}, "more than 64 bits"),
        ({"normalization": {"kind": "x"}}, "normalization.shape is missing"),
        ({"data": {"sha256": {"test": 3}}}, "data.sha256.test is 3; allowed: a text"),
        ({"model": {"kind": "resnet", "depth": float("nan")}}, "model.depth is no finite number"),
        ({"precision": None}, "precision is null; allowed: a text"),
    ],
)
def test_metadata_of_a_checkpoint(
    rescli: Rescli, run: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    last = run / "checkpoints/last.safetensors"
    sign(last, **change)
    for command in (
        *(("show", last), ("eval", last), ("predict", last, last)),
        ("export", last, "--format", "safetensors", "--out", tmp_path / "x.safetensors"),
        ("train", "quickstart", "--start-from", last, "--dry-run"),
        ("compare", last, "resnet-8", "--dataset", "shapes", "--dry-run"),
    ):
        answer = rescli(*command)
        if "--dry-run" in command and answer.code == 2 and "No such option" in answer.err:
            continue
        assert answer.code == 4, (command, answer.err)
        assert says in answer.err, command


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"threads": {}}, "threads is an object; allowed: a whole number"),
        ({"device": "toaster"}, "device is 'toaster'; allowed: a text like"),
        ({"precision": "fp8"}, "precision is 'fp8'; allowed: 'fp32', 'bf16' or 'fp16'"),
        ({"numbers": []}, "numbers is a list of 0; allowed: an object"),
        ({"metrics_bytes": -1}, "metrics_bytes is -1; allowed: 0 or more"),
        ({"data": {"dataset": 3}}, "data.dataset is 3; allowed: a text"),
        ({"spec": "x"}, "spec is 'x'; allowed: an object"),
    ],
)
def test_a_saved_state(rescli: Rescli, run: Path, change: dict[str, object], says: str) -> None:
    pointer = json.loads((run / "state/latest.json").read_text())
    path = run / "state" / pointer["file"]
    with safe_open(path, "pt") as file:
        state = json.loads(file.metadata()["state"])
    sign(path, state={**state, **change})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (run / "state/latest.json").write_text(json.dumps({**pointer, "sha256": digest}))
    answer = rescli("train", "--resume", run)
    assert answer.code == 4, answer.err
    assert f"{path} is damaged: {says}" in answer.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"file": "../x", "sha256": ""}', "file is '../x'; allowed: the name of a file beside it"),
        ('{"file": 3}', "file is 3; allowed: a text"),
        ("[]", "it is a list of 0; allowed: an object"),
    ],
)
def test_the_pointer_to_a_state(rescli: Rescli, run: Path, content: str, says: str) -> None:
    (run / "state/latest.json").write_text(content)
    answer = rescli("train", "--resume", run)
    assert answer.code == 4, answer.err
    assert f"latest.json is damaged: {says}" in answer.err


@pytest.mark.parametrize("row", ["[]", "3", '{"event": "val", "iteration": 1, "loss": NaN, "top1_error": 3}'])
def test_rows_of_a_log_that_are_none(rescli: Rescli, run: Path, row: str) -> None:
    (run / "metrics.jsonl").write_text(f"{row}\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl cannot be read: line 1: "):
        _ = Run(run).metrics
    answer = rescli("compare", run, run, "--seeds", 1, "--out", run.parent / "study")
    assert answer.code in (2, 4), answer.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"results": 3}', "results is 3; allowed: a list"),
        ('{"results": [3]}', "results[0] is 3; allowed: an object"),
        ('{"results": [{"split": 3}]}', "results[0].split is 3; allowed: a text"),
        (
            '{"results": [{"split": "test", "sha256": "a", "protocol": {}}]}',
            "results[0].protocol is an object",
        ),
        ("[]", "it is a list of 0; allowed: an object"),
        ("{", "Expecting property name"),
    ],
)
def test_results_to_go_along_are_settings(
    rescli: Rescli, run: Path, tmp_path: Path, content: str, says: str
) -> None:
    given = tmp_path / "eval.json"
    given.write_text(content)
    answer = rescli(
        *("export", run, "--format", "safetensors", "--out", tmp_path / "x.safetensors", "--results", given)
    )
    assert answer.code == 2, answer.err
    assert says in answer.err


def test_a_record_with_an_interval_below_zero_is_left_out_with_a_word(rescli: Rescli, run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    record["results"]["test"] = {"interval95": [-1, 2]}
    (run / "record.json").write_text(json.dumps(record))
    answer = rescli("show", run)
    assert answer.code == 0
    assert "results.test.interval95[0] is -1; allowed: 0 to 100" in answer.err


@pytest.mark.parametrize(
    "text", ["iterations = " + "[" * 5000, "iterations = " + "1" * 5000, "seed = " + "9" * 30]
)
def test_a_spec_that_python_cannot_hold_is_exit_2(rescli: Rescli, tmp_path: Path, text: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    answer = rescli("train", tmp_path / "own.toml", "--dry-run")
    assert answer.code == 2, answer.err
    assert "own.toml is not TOML" in answer.err


def test_the_config_of_an_export(rescli: Rescli, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "net.safetensors"
    assert rescli("export", run, "--format", "safetensors", "--out", out).code == 0
    config = out.with_name("config.json")
    whole = json.loads(config.read_text())
    changes: list[tuple[dict[str, object], str]] = [
        ({"class_names": 3}, "class_names is 3; allowed: a list"),
        ({"checkpoint": {"iteration": "x"}}, "checkpoint.iteration is 'x'; allowed: a whole number"),
        ({"results": [{"split": 3}]}, "results[0].split is 3; allowed: a text"),
        ({"training": 1}, "training is 1; allowed: an object"),
    ]
    for change, says in changes:
        config.write_text(json.dumps({**whole, **change}))
        answer = rescli("eval", out)
        assert answer.code == 4, answer.err
        assert f"config.json is damaged: {says}" in answer.err
