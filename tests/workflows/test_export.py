"""Weights imported, and a checkpoint exported, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, UsageError
from rescli.models.specs import model_spec
from rescli.remedy import Remedy
from rescli.workflows.export import export
from rescli.workflows.import_weights import import_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """ResNet-8 for the shapes, as a state dict of PyTorch."""
    net = model_spec("resnet-8").build(num_classes=10, image_size=32, seed=1)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_weights_become_a_checkpoint_and_a_program(weights: Path, tmp_path: Path) -> None:
    imported = import_weights(weights, "resnet-8", "shapes", tmp_path / "net.safetensors")
    assert (imported.layout, imported.normalization_assumed) == ("torchvision", True)
    assert imported.params == 75_290
    assert "75290" in imported._repr_html_()
    checkpoint = Checkpoint.read(Path(imported.checkpoint))
    assert checkpoint.sha256 != imported.imported_from.sha256

    begun: list[str] = []
    made = export(
        imported.checkpoint, "torch-export", tmp_path / "net.pt2", check_images=10, progress=begun.append
    )
    assert begun == [f"{imported.checkpoint}: writing and checking ..."]
    assert made.files == [tmp_path / "net.pt2"]
    assert made.check["top1_agreement"] == 100
    assert made.facts["checkpoint"]["sha256"] == checkpoint.sha256
    assert "net.pt2" in made._repr_html_()
    for one in (imported, made):
        assert len(repr(one).splitlines()) <= 10
        assert len(repr(one)) < 1000
    assert "net.pt2" in repr(made)
    program = torch.export.load(made.files[0]).module()
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(program(x), checkpoint.build_model()(x), atol=1e-5)


def test_what_does_not_fit_names_settings_and_no_flags(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit resnet-14 on shapes") as caught:
        import_weights(weights, "resnet-14", "shapes", tmp_path / "net.safetensors")
    assert caught.value.hint == "these look like resnet-8"
    assert caught.value.remedies == (Remedy("model", "resnet-8"),)
    with pytest.raises(UsageError, match=r"the format onnx ends in \.onnx") as refused:
        export(_empty(tmp_path), "onnx", tmp_path / "net.pt")
    assert refused.value.__notes__ == [f'try: out="{tmp_path / "net.onnx"}"']


def _empty(folder: Path) -> Path:
    path = folder / "any.safetensors"
    path.touch()
    return path
