"""Exported files in the runtimes that are to read them, each told apart by what it computes.

Other runtimes than the one installed here are asked through their own Python: RESCLI_TEST_READERS lists
interpreters, separated as in PATH, that have an older onnxruntime or OpenCV (opencv-python-headless).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ImageNetSpec
from rescli.workflows.export import export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "folded": {"fold_bn": True},
    "preprocessing": {"with_preprocessing": True},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8", "calibration_images": 20},
    "int8-dynamic": {"precision": "int8", "quantization": "dynamic"},
    "opset18": {"opset": 18, "batch_size": 3, "input_name": "data", "output_name": "add"},
}
OPENCV_CANNOT = {"int8-dynamic"}

READ = """
import json, sys
import numpy as np
runtime, file, inputs, outputs = sys.argv[1:]
x = np.load(inputs)
if runtime == "onnxruntime":
    import onnxruntime
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    y = session.run(None, {session.get_inputs()[0].name: x})[0]
else:
    import cv2
    net = cv2.dnn.readNetFromONNX(file)
    net.setInput(x)
    y = net.forward()
np.save(outputs, y)
"""


@dataclass(frozen=True)
class Exported:
    """A file, three inputs for it, and the checkpoint's logits."""

    path: Path
    inputs: Any
    logits: Any
    facts: Any


@pytest.fixture(scope="module")
def exported(
    make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Exported]:
    made: dict[str, Exported] = {}

    def make(variant: str) -> Exported:
        if variant not in made:
            net8 = make_checkpoint("resnet-8")
            out = tmp_path_factory.mktemp(variant) / "net.onnx"
            facts = export(net8, "onnx", out, check_images=10, **VARIANTS[variant]).facts
            checkpoint = Checkpoint.read(net8)
            images = checkpoint.dataset.build(None, ("val",))["val"].images_NHWC[:3]
            normalised = checkpoint.normalization.apply(images).contiguous()
            with torch.inference_mode():
                logits = checkpoint.build_model()(normalised).numpy()
            raw = VARIANTS[variant].get("with_preprocessing")
            made[variant] = Exported(out, (images if raw else normalised).numpy(), logits, facts)
        return made[variant]

    return make


@cache
def interpreters(runtime: str) -> list[str]:
    """Python programs of RESCLI_TEST_READERS that have it; for cv2 this one too."""
    given = [one for one in os.environ.get("RESCLI_TEST_READERS", "").split(os.pathsep) if one]
    if runtime == "cv2" and find_spec("cv2") is not None:
        given.append(sys.executable)
    has_it = [
        subprocess.run([python, "-c", f"import {runtime}"], capture_output=True, check=False).returncode == 0
        for python in given
    ]
    return [python for python, there in zip(given, has_it, strict=True) if there]


def require_same(exported: Exported, runtime: str, python: str, tmp_path: Path, *, within: float) -> None:
    np.save(tmp_path / "x.npy", exported.inputs)
    files = [str(exported.path), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    done = subprocess.run(
        [python, "-c", READ, runtime, *files], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, f"{python}: {done.stderr[-2000:]}"
    theirs = np.load(tmp_path / "y.npy")
    assert theirs.shape == exported.logits.shape
    largest = np.abs(exported.logits).max()
    assert np.abs(theirs - exported.logits).max() <= within * largest, python


def tolerance(variant: str) -> float:
    return 0.2 if "int8" in variant else 0.02 if variant == "fp16" else 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_older_onnxruntimes(exported: Callable[[str], Exported], variant: str, tmp_path: Path) -> None:
    others = interpreters("onnxruntime")
    if not others:
        pytest.skip("RESCLI_TEST_READERS names no Python with another onnxruntime, such as 1.16.3")
    for python in others:
        require_same(exported(variant), "onnxruntime", python, tmp_path, within=tolerance(variant))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in OPENCV_CANNOT])
def test_opencv(exported: Callable[[str], Exported], variant: str, tmp_path: Path) -> None:
    found = interpreters("cv2")
    if not found:
        pytest.skip("no opencv-python-headless here, nor in a Python of RESCLI_TEST_READERS")
    for python in found:
        require_same(exported(variant), "cv2", python, tmp_path, within=tolerance(variant))


def test_a_file_says_what_reads_it_and_names_its_parts(exported: Callable[[str], Exported]) -> None:
    """In the model itself: operator set, format version, names, shapes, labels."""
    made = exported("fp32")
    model = onnx.load(str(made.path))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert sides(model.graph.input) == [("images", ["batch", 3, 32, 32])]
    assert sides(model.graph.output) == [("logits", ["batch", 10])]
    texts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    names = made.facts["class_names"]
    assert texts["class_names"] == names
    assert texts["names"] == {str(number): name for number, name in enumerate(names)}
    assert texts["read_by"] == ["onnxruntime from 1.6", "OpenCV from 4.5.5, but not 4.8"]
    assert texts["rescli"]["preparation"].startswith("red, green, blue; shorter side 32")
    assert not any(node.metadata_props for node in model.graph.node)
    assert str(Path(__file__).parents[3]).encode() not in made.path.read_bytes()
    assert sorted(os.listdir(made.path.parent)) == ["net.onnx", "net.py"]


def test_a_newer_set_a_fixed_batch_and_names_that_torch_uses_itself(
    exported: Callable[[str], Exported],
) -> None:
    import onnxruntime

    made = exported("opset18")
    model = onnx.load(str(made.path))
    assert [entry.version for entry in model.opset_import] == [18]
    assert model.ir_version == 8
    assert sides(model.graph.input) == [("data", [3, 3, 32, 32])]
    assert sides(model.graph.output) == [("add", [3, 10])]
    assert made.facts["check"]["batch_sizes"] == [3]
    assert made.facts["check"]["num_images"] == 10
    assert made.facts["check"]["top1_error"] is not None
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(["add"], {"data": made.inputs})[0], made.logits, atol=1e-4)
    with pytest.raises(Exception, match="dimension"):
        session.run(None, {"data": made.inputs[:1]})


def test_one_image_alone_and_in_a_batch_of_64(exported: Callable[[str], Exported]) -> None:
    import onnxruntime

    made = exported("fp32")
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(64, 3, 32, 32)).astype(np.float32)
    together = session.run(None, {"images": x})[0]
    for index in (0, 31, 63):
        alone = session.run(None, {"images": x[index : index + 1]})[0]
        assert np.allclose(alone[0], together[index], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("plain-8", {}),
        ("resnet-8", {"shortcut": "B"}),
        ("resnet-8", {"shortcut": "C"}),
        ("resnet-50", {"dataset": ImageFolderSpec(classes=("a", "b")), "width": 8}),
        ("plain-18", {"dataset": ImageNetSpec(), "width": 8}),
    ],
)
def test_every_kind_of_net_is_held_by_the_oldest_set(
    make_checkpoint: Callable[..., Path], name: str, given: dict[str, Any], tmp_path: Path
) -> None:
    made = export(make_checkpoint(name, **given), "onnx", tmp_path / "net.onnx", check_images=10).facts
    assert made["facts"]["opset"] == 13
    assert made["output"]["shape"] == ["batch", len(made["class_names"])]


def sides(values: Any) -> list[tuple[str, list[str | int]]]:
    return [
        (value.name, [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim])
        for value in values
    ]
