"""``load``: from whatever holds weights to a net that gives the logits of its checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.read import read_folder
from rescli.errors import CheckpointError, DataError, RunDirError, UsageError
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.protocols import CENTER224
from rescli.workflows.data.pack import pack
from rescli.workflows.export import export
from rescli.workflows.import_weights import import_weights
from rescli.workflows.load import load

GOOD = ("rgb", "grey", "cmyk", "grey16", "palette", "transparent", "bilevel", "animated")


def _images(size: int) -> torch.Tensor:
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(5))


def test_a_checkpoint_file(net8: Path) -> None:
    net = load(net8)
    assert not net.model.training
    images = _images(32)
    with torch.inference_mode():
        torch.testing.assert_close(net.model(images), Checkpoint.read(net8).build_model()(images))
    assert net.name == "resnet-8"
    assert (len(net.class_names), net.image_size, net.spec, net.path) == (10, 32, None, net8)
    assert net.results["val"]["top1_error"] == 12.5  # type: ignore[index]
    assert "resnet-8, 75,290 parameters" in repr(net)
    assert "<table>" in net._repr_html_()


def test_a_run_directory_with_its_spec(rescli: Callable[..., Any], tiny: list[str], tmp_path: Path) -> None:
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    net = load(tmp_path / "run")
    assert net.spec is not None
    assert net.spec.iterations == 12
    assert net.path == tmp_path / "run" / "checkpoints" / "last.safetensors"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("resnet-8", {}),
        ("plain-14", {}),
        ("resnet-18", {"shortcut": "B"}),
        ("resnet-50", {"stride_on": "1x1"}),
    ],
    ids=["ours", "a plain net", "as timm", "as transformers"],
)
@pytest.mark.parametrize("fold", [False, True], ids=["", "folded"])
def test_an_exported_folder(
    make_checkpoint: Callable[..., Path], tmp_path: Path, name: str, given: dict[str, str], fold: bool
) -> None:
    from rescli.data.specs import ImageNetSpec
    from rescli.exporters.base import Options, Subject
    from rescli.exporters.description import describe
    from rescli.exporters.huggingface.exporter import HuggingFaceExporter

    large = name in ("resnet-18", "resnet-50")
    options = Options(fold_bn=fold)
    path = make_checkpoint(
        name, **given, **({"dataset": ImageNetSpec(), "normalization": "per-channel"} if large else {})
    )
    checkpoint = Checkpoint.read(path)
    if HuggingFaceExporter().unfit(checkpoint.model, options):
        pytest.skip("no library has such a network with its batch normalisations folded")
    subject = Subject(checkpoint, options, describe(checkpoint, options, []), list)
    HuggingFaceExporter().write(subject, tmp_path / "folder")
    net = load(tmp_path / "folder")
    images = _images(64 if large else 32)
    with torch.inference_mode():
        expected = checkpoint.build_model()(images)
        torch.testing.assert_close(net.model(images), expected, rtol=1e-4, atol=1e-4)
    assert net.class_names == checkpoint.class_names
    normalized = net.preprocess(np.zeros((net.image_size, net.image_size, 3), np.uint8))
    torch.testing.assert_close(
        normalized, load(path).preprocess(np.zeros((net.image_size, net.image_size, 3), np.uint8))
    )


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="was not exported by rescli") as caught:
        load(tmp_path)
    assert any("import_weights(" in note for note in caught.value.__notes__)


def test_weights_of_somebody_else(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "own.pth")
    with pytest.raises(CheckpointError, match="a file of PyTorch, not a checkpoint of rescli") as caught:
        load(tmp_path / "own.pth")
    assert any(f'import_weights("{tmp_path / "own.pth"}", MODEL' in note for note in caught.value.__notes__)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(RunDirError, match="no run directory"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "~nobody/net"])
def test_a_path_that_no_file_can_have(net8: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(name)
    with pytest.raises(DataError, match="no such file"):
        load(net8).predict(name)
    with pytest.raises(CheckpointError, match="no such file"):
        import_weights(name, "resnet-8", "shapes", "net.safetensors")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_new_file_that_cannot_be(net8: Path, name: str) -> None:
    for write in (
        lambda: export(net8, "torch-export", f"{name}.pt2"),
        lambda: import_weights(net8, "resnet-8", "shapes", f"{name}.safetensors"),
        lambda: pack("imagefolder", name),
    ):
        with pytest.raises(UsageError, match="name"):
            write()


def test_a_photograph_is_prepared_as_an_evaluation_does(photo_net: Path, photo_folder: Path) -> None:
    net, files = load(photo_net), read_folder(photo_folder, ("val",))["val"]
    assert CENTER224.photos is not None
    batches = view_batches(files, CENTER224.photos, net.checkpoint.normalization, batch_size=5, device="cpu")
    fed = {index: x for batch in batches for index, x in zip(batch.images, batch.inputs, strict=True)}
    assert len(fed) == 12
    for index, name in enumerate(files.file_names):
        assert torch.equal(net.preprocess(files.root / name), fed[index])


def test_a_picture_of_the_training_size_is_left_untouched(net8: Path, tmp_path: Path) -> None:
    net = load(net8)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = net.checkpoint.normalization.apply(torch.from_numpy(pixels)[None])[0]
    for picture in (pixels, Image.fromarray(pixels), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert torch.equal(net.preprocess(picture), expected)


def test_another_picture_is_reduced_and_its_centre_taken(net8: Path) -> None:
    net = load(net8)
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8))
    by_hand = wide.resize((64, 32), Image.Resampling.BILINEAR).crop((16, 0, 48, 32))
    assert torch.equal(net.preprocess(wide), net.preprocess(np.asarray(by_hand)))


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_picture_is_converted(net8: Path, odd_files: dict[str, Path], kind: str) -> None:
    net = load(net8)
    x = net.preprocess(odd_files[kind])
    assert (x.shape, x.dtype) == ((3, 32, 32), torch.float32)
    if kind in ("transparent", "rgb"):
        assert torch.equal(x, net.preprocess(Image.open(odd_files["rgb"]).convert("RGB")))
    if kind == "grey16":
        with Image.open(odd_files[kind]) as image:
            upper = (np.asarray(image).astype(np.uint32) // 256).astype(np.uint8)
        assert torch.equal(x, net.preprocess(upper))


@pytest.mark.parametrize("kind", ["damaged", "text", "empty"])
def test_a_damaged_file_is_named(net8: Path, odd_files: dict[str, Path], kind: str) -> None:
    with pytest.raises(DataError, match=f"{kind}.jpg cannot be decoded"):
        load(net8).preprocess(odd_files[kind])


@pytest.mark.parametrize(
    "array", [np.zeros((32, 32, 3)), np.zeros((2, 32, 32, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_array_that_is_no_picture(net8: Path, array: Any) -> None:
    with pytest.raises(UsageError, match=r"uint8 array \(H, W, 3\)"):
        load(net8).preprocess(array)
