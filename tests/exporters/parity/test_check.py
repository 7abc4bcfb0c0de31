"""Planted faults: each is put into a file after, or while, it is written; the check must find it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rescli import registry
from rescli.data.specs import ImageNetSpec
from rescli.exporters import graph
from rescli.exporters.base import Exporter, Subject
from rescli.exporters.formats.onnx import OnnxExporter
from rescli.exporters.formats.safetensors import SafetensorsExporter
from rescli.exporters.formats.state_dicts import TorchvisionExporter
from rescli.exporters.formats.torch_export import TorchExportExporter
from rescli.exporters.graph import ExportedNetwork
from rescli.exporters.huggingface.exporter import HuggingFaceExporter

Rescli = Callable[..., Any]
Fault = Callable[[Path], None]


@contextmanager
def spoiled(exporter: type[Exporter], fault: Fault) -> Iterator[None]:
    """The exporter writes as ever; then ``fault`` is done to what it wrote."""

    class Spoiled(exporter):  # type: ignore[misc, valid-type]
        def write(self, subject: Subject, path: Path) -> dict[str, Any]:
            facts: dict[str, Any] = super().write(subject, path)
            fault(path)
            return facts

    with registry.override("exporters", exporter.kind, Spoiled):
        yield


@pytest.fixture
def refused(rescli: Rescli, tmp_path: Path) -> Callable[..., str]:
    """Export, be refused with exit code 6, leave nothing behind; what was said."""

    def export(checkpoint: Path, format: str, name: str, *more: object) -> str:
        folder = tmp_path / "made"
        answer = rescli(
            "export", checkpoint, "--format", format, "--out", folder / name, "--check-images", 10, *more
        )
        assert (answer.code, answer.out) == (6, ""), answer.err
        assert not folder.exists()
        return str(answer.err)

    return export


def edit_onnx(change: Callable[[Any], None]) -> Fault:
    def fault(path: Path) -> None:
        import onnx

        model = onnx.load(str(path))
        change(model)
        onnx.save(model, str(path))

    return fault


def change_one_weight(model: Any) -> None:
    from onnx import numpy_helper

    kernel = next(
        tensor for tensor in model.graph.initializer if len(tensor.dims) == 4 and tensor.dims[1] > 3
    )
    weights = numpy_helper.to_array(kernel).copy()
    weights[0, 0, 1, 1] += 0.01
    kernel.CopyFrom(numpy_helper.from_array(weights, kernel.name))


def test_one_weight_of_an_onnx_file(refused: Callable[..., str], net8: Path) -> None:
    with spoiled(OnnxExporter, edit_onnx(change_one_weight)):
        said = refused(net8, "onnx", "net.onnx")
    assert "differ from the checkpoint's by up to" in said


def test_a_batch_dimension_frozen_in_the_declaration(refused: Callable[..., str], net8: Path) -> None:
    def freeze(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    with spoiled(OnnxExporter, edit_onnx(freeze)):
        said = refused(net8, "onnx", "net.onnx")
    assert "cannot be used by onnxruntime" in said


@pytest.mark.parametrize(("format", "name"), [("onnx", "net.onnx"), ("torch-export", "net.pt2")])
def test_a_batch_dimension_frozen_while_capturing(
    refused: Callable[..., str], net8: Path, monkeypatch: pytest.MonkeyPatch, format: str, name: str
) -> None:
    whole = torch.export.export

    def frozen(network: Any, example: Any, **_: Any) -> Any:
        return whole(network, example)

    monkeypatch.setattr(torch.export, "export", frozen)
    assert "cannot be used by" in refused(net8, format, name)


@pytest.mark.parametrize(
    ("format", "name", "more"),
    [
        ("onnx", "net.onnx", []),
        ("torch-export", "net.pt2", ["--with-preprocessing"]),
        ("safetensors", "net.safetensors", ["--fold-bn"]),
    ],
)
def test_a_wrong_eps(
    refused: Callable[..., str],
    net8: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    name: str,
    more: list[str],
) -> None:
    """1e-3, TensorFlow's, for 1e-5. Only the exporter's own network has it, not the checkpoint's."""
    from rescli.checkpoints.checkpoint import Checkpoint

    right = Checkpoint.build_model

    def wrong(checkpoint: Checkpoint) -> torch.nn.Module:
        net = right(checkpoint)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1e-3
        return net

    whole = graph.network_of

    def network_of(subject: Subject) -> ExportedNetwork:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkpoint, "build_model", wrong)
            return whole(subject)

    monkeypatch.setattr(graph, "network_of", network_of)
    monkeypatch.setattr("rescli.exporters.formats.safetensors.network_of", network_of)
    assert "differ from the checkpoint's by up to" in refused(net8, format, name, *more)


def test_a_wrong_normalisation_inside(
    refused: Callable[..., str], net8: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bgr(self: Any, images_NHWC: torch.Tensor) -> torch.Tensor:
        return (images_NHWC.flip(3).float() / 255 - self.mean_HWC).permute(0, 3, 1, 2)

    monkeypatch.setattr("rescli.exporters.preprocessing.Normalize.forward", bgr)
    said = refused(net8, "onnx", "net.onnx", "--with-preprocessing")
    assert "differ from the checkpoint's by up to" in said


def test_swapped_class_names(refused: Callable[..., str], net8: Path) -> None:
    def swap(model: Any) -> None:
        entry = next(entry for entry in model.metadata_props if entry.key == "rescli")
        described = json.loads(entry.value)
        described["class_names"].reverse()
        entry.value = json.dumps(described)

    with spoiled(OnnxExporter, edit_onnx(swap)):
        assert "reads another description than was written: class_names" in refused(net8, "onnx", "net.onnx")


def nudge(path: Path) -> None:
    """The smallest change there is: no logit shows it."""
    file = path / "model.safetensors" if path.is_dir() else path
    state = load_file(file)
    name = next(name for name, tensor in state.items() if tensor.ndim == 4)
    first = state[name].view(-1)[:1]
    first.copy_(torch.nextafter(first, torch.tensor(10.0)))
    save_file(state, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("exporter", "name"), [(SafetensorsExporter, "net.safetensors"), (HuggingFaceExporter, "net")]
)
def test_one_bit_of_one_weight_of_a_state_dict(
    refused: Callable[..., str], net8: Path, exporter: type[Exporter], name: str
) -> None:
    with spoiled(exporter, nudge):
        assert "1 of 44 tensors is not the checkpoint's" in refused(net8, exporter.kind, name)


def test_one_bit_in_torchvisions_network(refused: Callable[..., str], imagenet18: Path) -> None:
    with spoiled(TorchvisionExporter, nudge):
        said = refused(imagenet18, "torchvision", "net.safetensors")
    assert "1 of 122 tensors is not the checkpoint's in torchvision" in said


def test_another_network_in_the_config(
    refused: Callable[..., str], make_checkpoint: Callable[..., Path]
) -> None:
    """The stride on the other convolution: the same tensors, another function."""
    checkpoint = make_checkpoint(
        "resnet-50", dataset=ImageNetSpec(), normalization="per-channel", width=8, stride_on="1x1"
    )
    pytest.importorskip("transformers")

    def other_stride(path: Path) -> None:
        config = json.loads((path / "config.json").read_text())
        config["downsample_in_bottleneck"] = False
        (path / "config.json").write_text(json.dumps(config))

    with spoiled(HuggingFaceExporter, other_stride):
        said = refused(
            checkpoint,
            "huggingface",
            "net",
        )
    assert "differ from the checkpoint's by up to" in said


def test_a_file_cut_short(refused: Callable[..., str], net8: Path) -> None:
    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-100])

    with spoiled(TorchExportExporter, cut):
        assert "cannot be used by torch.export" in refused(net8, "torch-export", "net.pt2")


def test_int8_that_mistakes_the_class(
    refused: Callable[..., str], net8: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rescli.exporters.parity import check

    monkeypatch.setitem(check.TOLERANCES, "int8", check.Tolerance(logits=10.0, agreement=100.1))  # type: ignore[index]
    said = refused(net8, "onnx", "net.onnx", "--precision", "int8", "--quantization", "dynamic")
    assert "agrees with the checkpoint on the class of" in said


def test_logits_that_are_no_numbers(refused: Callable[..., str], net8: Path) -> None:
    def nan(model: Any) -> None:
        from onnx import numpy_helper

        head = next(tensor for tensor in model.graph.initializer if 10 in tensor.dims)
        head.CopyFrom(numpy_helper.from_array(np.full(head.dims, np.nan, np.float32), head.name))

    with spoiled(OnnxExporter, edit_onnx(nan)):
        assert "differ from the checkpoint's by up to nan" in refused(net8, "onnx", "net.onnx")


@pytest.mark.parametrize(("quantization", "others"), [("static", 2), ("dynamic", 0)])
def test_each_of_a_few_images_counts_once_and_the_figure_is_said_to_mean_little(
    checkpoint_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, quantization: Any, others: int
) -> None:
    """The first of three images, in the passes of 1, 2 and 7 four times, is of another class in int8."""
    from rescli.errors import VerificationError
    from rescli.exporters.base import Options
    from rescli.exporters.parity import check
    from rescli.exporters.parity.sample import raw_passes, stand_in_sample

    options = Options(precision="int8", quantization=quantization)
    checkpoint, sample = checkpoint_of("resnet-8"), stand_in_sample(3)
    subject = Subject(checkpoint, options, {}, list, 256, True)  # type: ignore[arg-type]
    passes = list(raw_passes(sample, checkpoint, raw=False))
    assert [len(one.array) for one in passes] == [1, 2, 7]
    ours = [torch.eye(10)[: len(one.array)] for one in passes]
    theirs = [one.clone() for one in ours]
    theirs[0] = ours[0].roll(1, 1)  # the pass in which the first image comes first
    for logits in theirs[2:]:
        logits *= 0.9
    monkeypatch.setitem(check.TOLERANCES, "int8", check.Tolerance(logits=2.0, agreement=90.0))
    with pytest.raises(VerificationError, match=r"66\.67 % of 3 images.* So few images say little") as error:
        check._compare(subject, sample, passes, theirs, ours, "onnxruntime")
    first, *further = error.value.remedies
    assert (first.setting, first.value, error.value.hint) == ("precision", "fp16", None)
    assert len(further) == others
    assert all(remedy.note.startswith("or this") for remedy in further)
