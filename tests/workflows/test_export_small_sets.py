"""A run on few images of one's own, exported without a word on where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescli.data.folders.specs import ImageFolderSpec
from rescli.workflows.export import export


@pytest.fixture
def run(checkpoint_of: Callable[..., Any], tmp_path: Path) -> Path:
    """A run directory with last and best weights, whose set has two images of train and two of val."""
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("犬", "cat"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            pixels = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / part / name / "one.png")
    made = checkpoint_of(
        "resnet-18", dataset=ImageFolderSpec(classes=("cat", "犬")), normalization="per-channel", width=8
    )
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "state").mkdir()
    (run / "record.json").write_text("{}")
    (run / "state" / "data_root.json").write_text(json.dumps({"data_root": str(tmp_path / "set")}))
    made.write(run / "checkpoints" / "last.safetensors")
    made.tensors["fc.bias"].add_(1.0)
    made.write(run / "checkpoints" / "best.safetensors")
    return run


def test_static_int8_of_four_images_where_the_run_had_them(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    said: list[str] = []
    made = export(run, "onnx", tmp_path / "out" / "net.onnx", precision="int8", warn=said.append)
    assert (made.check["dataset"], made.check["is_stand_in"]) == ("imagefolder", False)
    assert made.check["num_images"] == 2
    assert made.check["batch_sizes"] == [1, 2, 7]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["net.onnx", "net.py"]
    assert any("repeated" in text for text in said)
    assert any("to measure activations on, not 256" in text for text in said)


def test_a_log_hears_how_far_measuring_and_checking_are(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line every ten seconds, here every hundred."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from rescli.report.progress import counting

    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(counting.time, "monotonic", lambda: float(next(clock)))
    said: list[str] = []
    how = {"precision": "int8", "progress": said.append, "warn": said.append}
    export(run, "onnx", tmp_path / "out" / "net.onnx", **how)  # type: ignore[arg-type]
    for unit in ("images measured", "images of the check"):
        assert any(f" {unit}  " in line and " ETA " in line for line in said), said


def test_a_run_exports_its_last_and_a_file_is_itself(run: Path, tmp_path: Path) -> None:
    last = export(run, "safetensors", tmp_path / "last" / "n.safetensors", warn=lambda _: None).facts
    best = run / "checkpoints" / "best.safetensors"
    other = export(best, "safetensors", tmp_path / "best" / "n.safetensors", warn=lambda _: None).facts
    assert last["checkpoint_file"] == str(run / "checkpoints" / "last.safetensors")
    assert other["checkpoint_file"] == str(best)
    assert last["checkpoint"]["sha256"] != other["checkpoint"]["sha256"]
    assert other["check"]["is_stand_in"] is False
