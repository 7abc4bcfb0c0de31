"""Checkpoints and photographs for the tests of ``rescli eval``."""

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.normalization import Normalization
from rescli.data.shapes.images import make_shapes
from rescli.data.specs import ImageNetSpec, ShapesSpec
from rescli.models.specs import model_spec

SMALL = {"num_train": 40, "num_val": 20, "num_test": 60}
WNIDS = ("n01440764", "n02102040", "n03888257")


@pytest.fixture
def write_checkpoint():
    return _write_checkpoint


@pytest.fixture
def logits_of():
    """``logits_of(path, images_NCHW)``: by the network itself, in one batch, float64."""

    def compute(path, images_NCHW):
        with torch.inference_mode():
            return Checkpoint.read(path).build_model()(images_NCHW).double()

    return compute


@pytest.fixture
def error():
    """``error(scores, labels)``: percent."""
    return lambda scores, labels: 100 * int((scores.argmax(1) != labels).sum()) / len(labels)


def _write_checkpoint(path, *, model, dataset, class_names, normalization, seed=0, precision="fp32"):
    net = model.build(num_classes=len(class_names), image_size=dataset.image_size, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2, generator=generator)
    Checkpoint(
        tensors=net.state_dict(),
        model=model,
        dataset=dataset,
        spec=None,
        normalization=normalization,
        class_names=class_names,
        iteration=0,
        selection="imported",
        results={},
        data={},
        precision=precision,
    ).write(path)
    return path


@pytest.fixture
def shapes():
    return make_shapes(seed=0, **SMALL, splits=("test",))["test"]


@pytest.fixture
def small(tmp_path, shapes):
    """Two checkpoints of different families on the shapes."""
    normalization = Normalization.fit(shapes.images_NHWC, "per-pixel-mean")
    return [
        _write_checkpoint(
            tmp_path / f"{name}.safetensors",
            model=model_spec(name, image_size=32),
            dataset=ShapesSpec(**SMALL),
            class_names=shapes.class_names,
            normalization=normalization,
            seed=seed,
        )
        for seed, name in enumerate(("resnet-8", "plain-14"))
    ]


@pytest.fixture
def photo_folder(tmp_path):
    """Two photographs for each of three of ImageNet's classes, one of them grey."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for wnid in WNIDS:
        for number, size in enumerate(((61, 40), (90, 301))):
            path = root / "val" / wnid / f"{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size)
            (image.convert("L") if number else image).save(path)
    return root


@pytest.fixture
def thousand(tmp_path):
    """A narrow ResNet-18 of ImageNet's thousand classes."""
    return _write_checkpoint(
        tmp_path / "thousand.safetensors",
        model=model_spec("resnet-18", image_size=224, width=4),
        dataset=ImageNetSpec(),
        class_names=ImageNetSpec().class_names,
        normalization=Normalization("per-channel", torch.full((3, 1, 1), 0.5), torch.full((3,), 0.25)),
    )


@pytest.fixture
def write_noise():
    """``write_noise(folder, 4)``: so many small pictures of noise, 0.png and so on."""

    def write(folder, count, seed=0):
        rng = np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{number}.png")

    return write


@pytest.fixture
def small_flags():
    """``small_flags(root, iterations=3)``: flags of ``rescli train`` for a narrow net on few photographs."""

    def flags(root, preset="imagefolder/base", **changes):
        settings = {"iterations": 2, "batch_size": 4, "workers": 0} | changes
        return [
            *(preset, "--data-root", root, "--device", "cpu", "--precision", "fp32"),
            *("--set", "model.width=4", "--set", "evaluation.every=1", "--set", "metrics.every=1"),
            *(word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)),
        ]

    return flags


@pytest.fixture
def pairs(tmp_path, write_noise):
    """Two classes, cat and dog, of four images in train, and of two in val."""
    for seed, name in enumerate(("cat", "dog")):
        write_noise(tmp_path / "pairs" / "train" / name, 4, seed)
        write_noise(tmp_path / "pairs" / "val" / name, 2, seed + 2)
    return tmp_path / "pairs"
