"""What is suggested where a net is written for other programs."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ShapesSpec
from rescli.exporters import export
from rescli.exporters.formats.onnx import OnnxExporter
from rescli.exporters.parity import check

Heed = Callable[..., Any]

FEW = ShapesSpec(num_train=40, num_val=20, num_test=20)
PETS = ImageFolderSpec(image_size=32, classes=("cat", "dog"), num_train=6, num_val=6, held_out=False)
EXPORT = "export net.safetensors --check-images 10"


@pytest.fixture
def net(place: Path, checkpoint_of: Callable[..., Any]) -> Path:
    made = place / "net.safetensors"
    checkpoint_of("resnet-8", dataset=FEW, width=4).write(made)
    return made


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is no graph, and no other process reads it: of formats nothing is asked here."""
    monkeypatch.setattr(OnnxExporter, "write", lambda _self, _subject, path: _written(path))
    monkeypatch.setattr(export, "check_export", lambda _exporter, _subject, _path, sample: report(sample))


def _written(path: Path) -> dict[str, int]:
    path.write_text("a graph")
    return {"opset": 13}


def report(sample: Any) -> dict[str, Any]:
    counts = {"num_images": len(sample), "is_stand_in": sample.is_stand_in, "batch_sizes": [1]}
    logits = {"largest_logit": 1.0, "largest_difference": 0.0, "allowed_difference": 0.1}
    shares = {"top1_agreement": 100.0, "least_agreement": None}
    errors = {"top1_error": None, "checkpoint_top1_error": None}
    of = {"runtime": "none", "dataset": sample.dataset, "split": sample.split}
    return {**of, **counts, **logits, **shares, **errors}


@pytest.mark.parametrize(
    ("typed", "reaches"),
    [
        ("--format safetensors --out out.pt", "workflows/export.py out"),
        ("--format torch-export --out b.pt2 --precision int8", "exporters/export.py format"),
        ("--format safetensors --out b.safetensors --with-preprocessing", "exporters/export.py format"),
        ("--format torch-export --out b.pt2 --opset 17", "exporters/export.py format"),
        ("--format tensorrt --out b.engine", "workflows/export.py format"),
    ],
)
def test_of_settings(heed: Heed, net: Path, typed: str, reaches: str) -> None:
    # A file of another format has another suffix: that the next message says.
    heed(f"{EXPORT} {typed}", 2, reaches=[reaches], ends={"--format": 2})


def test_of_a_file_that_is_in_the_way(heed: Heed, net: Path) -> None:
    net.with_name("config.json").write_text("{}")
    typed = f"{EXPORT} --format safetensors --out out.safetensors"
    heed(typed, 2, reaches=["workflows/export.py out"])


def test_of_a_full_disk(heed: Heed, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = export.fsync_path

    def full(path: Path) -> None:
        monkeypatch.setattr(export, "fsync_path", sync)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "fsync_path", full)
    typed = f"{EXPORT} --format safetensors --out out.safetensors"
    heed(typed, 4, reaches=["exporters/export.py out"], PATH="other/out.safetensors")


def test_of_int8_that_disagrees(heed: Heed, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disagreeing(exporter: Any, subject: Any, path: Path, sample: Any) -> Any:
        passes = list(check.raw_passes(sample, subject.checkpoint, raw=False, batch_size=None))
        ours = check._reference(subject, passes)
        monkeypatch.setattr(export, "check_export", lambda *given: report(given[-1]))
        # Twice the largest first, so that the classes alone are others.
        theirs = [one - 1e-3 * one for one in ours]
        return check._compare(subject, sample, passes, theirs, ours, "onnxruntime")

    monkeypatch.setattr(export, "check_export", disagreeing)
    monkeypatch.setitem(check.TOLERANCES, "int8", check.Tolerance(logits=10.0, agreement=100.1))
    int8 = "--precision int8 --quantization static --calibration-images 20"
    typed = f"{EXPORT} --format onnx --out out.onnx {int8}"
    reaches = [
        "exporters/parity/check.py precision",
        "exporters/parity/check.py quantization",
        "exporters/parity/check.py calibration_images",
    ]
    heed(typed, 6, reaches=reaches, each=True)


def test_of_images_to_calibrate_on(heed: Heed, net: Path, photos: Path, checkpoint_of: Any) -> None:
    checkpoint_of("resnet-8", dataset=PETS, normalization="per-channel", width=4).write(net)
    typed = f"{EXPORT} --format onnx --out out.onnx --precision int8 --quantization static"
    reaches = [
        "exporters/parity/image_source.py data_root",
        "exporters/parity/image_source.py quantization",
    ]
    heed(typed, 3, reaches=reaches, DIR="photos")


def test_of_results(heed: Heed, net: Path) -> None:
    net.with_name("eval.json").write_text("{}")
    typed = f"{EXPORT} --format safetensors --out out.safetensors --results eval.json"
    heed(
        typed,
        2,
        then_again=True,
        CKPT="net.safetensors --device cpu",
    )
