"""``rescli show``: a checkpoint in words, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.checkpoints.checkpoint import Checkpoint

Rescli = Callable[..., Any]


def test_no_torch_is_imported(net8: Path) -> None:
    code = (
        "import sys; from rescli.cli.show import show; from pathlib import Path;"
        f"show(Path({str(net8)!r}), tensors=True, json=False);"
        "sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resnet-8, 75,290 parameters" in done.stdout


def test_what_it_says(rescli: Rescli, net8: Path) -> None:
    answer = rescli("show", net8, "--tensors")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == str(net8)
    assert "weights        iteration 7, last, trained in fp32" in lines
    assert f"sha256         {Checkpoint.read(net8).sha256}" in lines
    assert "  val   top-1 error  12.50 % (6.00 to 23.00), loss 0.4000, 60 images, single, last" in lines
    assert "ledger: none; trained elsewhere: nobody here knows how" in lines
    assert "tensors: 44 in 0.32 MB" in lines
    assert any(line.split() == ["conv1.weight", "F32", "16x3x3x3"] for line in lines)


def test_a_run_of_ours_with_its_recipe_and_ledger(rescli: Rescli, tiny: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert rescli("train", *tiny, "--out", run).code == 0
    facts_file = run / "checkpoints" / "last.safetensors"
    facts = rescli("show", facts_file, "--json").json
    assert facts["spec"]["iterations"] == 12
    assert {row["field"]: row["verdict"] for row in facts["ledger"]}["iterations"] == "differs"
    assert facts["params"] == sum(
        parameter.numel() for parameter in Checkpoint.read(facts_file).build_model().parameters()
    )
    assert facts["results"]["val"]["num_images"] == 50
    answer = rescli("show", run / "checkpoints" / "last.safetensors")
    assert "  batch_size = 16" in answer.out.splitlines()
    assert "choices are not the paper's" in answer.out


def test_the_test_error_of_the_run_where_it_has_one(rescli: Rescli, tiny: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert rescli("train", *tiny, "--out", run).code == 0
    assert set(rescli("show", run, "--json").json["results"]) == {"train", "val"}
    (row,) = rescli("eval", run, "--device", "cpu", "--json").json["results"]
    shown = rescli("show", run, "--json").json["results"]["test"]
    assert (shown["top1_error"], shown["num_images"]) == (row["top1_error"], row["num_images"])
    assert f"  test  top-1 error {row['top1_error']:6.2f} % (" in rescli("show", run).out
    best = rescli("show", run / "checkpoints" / "best.safetensors", "--json").json
    assert ("test" in best["results"]) == (best["selection"] == "last")
    (run / "record.json").write_text("{}")
    answer = rescli("show", run)
    assert answer.code == 0
    assert "without a test error that may be in it" in answer.err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data[:4000], "is not a whole safetensors file"),
        (lambda data: data[:-1], "and should have"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its content is not what was written"),
        (lambda data: b"{}" + data, "is not a whole safetensors file"),
        (lambda _: b"", "is not a whole safetensors file"),
        (lambda _: json.dumps({"a": 1}).encode(), "is not a whole safetensors file"),
    ],
    ids=["cut in the header", "cut in the tensors", "one bit", "shifted", "empty", "json"],
)
def test_damage_is_exit_4(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
    says: str,
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(spoil(net8.read_bytes()))
    answer = rescli("show", path)
    assert (answer.code, answer.out) == (4, "")
    assert says in answer.err


def test_tensors_of_somebody_else(rescli: Rescli, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    answer = rescli("show", tmp_path / "a.safetensors")
    assert answer.code == 4
    assert "holds 1 tensor but no rescli model" in answer.err


def test_every_session_of_the_run(rescli: Rescli, tiny: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert rescli("train", *tiny, "--out", run).code == 0
    record = json.loads((run / "record.json").read_text())
    record["sessions"].insert(0, {"from_iteration": 0, "iterations_done": 5, "status": "killed"})
    first = {"folder": "a", "date": "2026-01-01T03:04:05+00:00"}
    origin = {"folder": "gpu/runs/x\x1b[2J", "date": "2026-01-02T03:04:05+00:00"}
    record["imported"] = {**origin, "earlier": [first]}
    (run / "record.json").write_text(json.dumps(record))
    answer = rescli("show", run)
    assert "sessions       2: 0 to 5 killed, 0 to 12 finished" in answer.out
    assert "imported       from gpu/runs/x" in answer.out
    assert f"; before, from a, {first['date']}" in answer.out
    assert "\x1b" not in answer.out
    assert [one["status"] for one in rescli("show", run, "--json").json["sessions"]] == ["killed", "finished"]
    del record["sessions"]  # as an earlier version wrote it
    (run / "record.json").write_text(json.dumps({**record, "resumed_at": [5]}))
    assert "sessions       2: 0 to 5, 5 to 12 finished" in rescli("show", run).out
