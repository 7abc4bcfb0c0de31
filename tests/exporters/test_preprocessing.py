"""Resizing, cropping and normalising inside the graph: Pillow's own bits, as a graph of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rescli.data.normalization import Normalization
from rescli.evaluation.images.views import crop_corners, resized_size
from rescli.exporters.preprocessing import (
    CropCenter,
    Normalize,
    ResizeShorterSide,
    _resample,
    _weights,
    largest_side,
    preprocessing,
)

MAX_SIDE = largest_side(256)

SIZES = (
    *((301, 199), (224, 224), (256, 256), (255, 256), (257, 256), (512, 512), (57, 83), (1, 3), (2, 2)),
    *((640, 91), (91, 640), (225, 500), (900, 1333)),
)
"""width, height"""


def picture(width: int, height: int, *, noise: bool) -> Image.Image:
    rng = np.random.default_rng(width * 10_000 + height)
    if noise:
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def by_pillow(image: Image.Image, side: int, crop: int | None) -> np.ndarray:
    resized = np.array(image.resize(resized_size(*image.size, side), Image.Resampling.BILINEAR))
    if crop is None:
        return resized
    ((top, left),) = crop_corners(*resized.shape[:2], crop, "center")
    return resized[top : top + crop, left : left + crop]


@pytest.mark.parametrize("noise", [True, False], ids=["noise", "smooth"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_resized_image_is_pillows_bit_for_bit(width: int, height: int, noise: bool) -> None:
    image = picture(width, height, noise=noise)
    levels = ResizeShorterSide(256)(torch.from_numpy(np.array(image))[None])[0]
    assert np.array_equal(levels.numpy(), by_pillow(image, 256, None))


@pytest.mark.parametrize("side", [8, 32, 224, 480])
def test_any_shorter_side(side: int) -> None:
    image = picture(333, 250, noise=True)
    levels = ResizeShorterSide(side)(torch.from_numpy(np.array(image))[None])[0]
    assert np.array_equal(levels.numpy(), by_pillow(image, side, None))


def test_black_and_white_stay_so_at_the_largest_side() -> None:
    """Where partial sums are largest: every weight times 255, and the most weights a pixel."""
    white = torch.full((1, 1, 1, MAX_SIDE), 255.0)
    kernel = _weights(MAX_SIDE, 256)
    assert bool((_resample(white, *kernel) == 255).all())
    assert bool((_resample(white * 0, *kernel) == 0).all())


def test_noise_at_the_largest_side() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1, MAX_SIDE), dtype=np.uint8)
    theirs = np.array(Image.fromarray(noise).resize((256, 1), Image.Resampling.BILINEAR))
    ours = _resample(torch.from_numpy(noise)[None, None].float(), *_weights(MAX_SIDE, 256))
    assert np.array_equal(ours[0, 0].numpy(), theirs)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (257, 256), (258, 259), (259, 261), (224, 224)])
def test_the_centre_is_that_of_the_evaluation(height: int, width: int) -> None:
    image = torch.arange(height * width).view(1, height, width, 1).expand(-1, -1, -1, 3)
    ((top, left),) = crop_corners(height, width, 224, "center")
    assert CropCenter(224)(image).equal(image[:, top : top + 224, left : left + 224])


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_normalising_is_that_of_training(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8, generator=generator)
    normalization = Normalization.fit(images, kind)  # type: ignore[arg-type]
    assert Normalize(normalization)(images).equal(normalization.apply(images))


def test_as_an_onnx_graph_it_is_still_pillows() -> None:
    """Captured once, with height and width free; run by onnxruntime on sizes it was not captured with."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    normalization = Normalization("per-channel", torch.zeros(3, 1, 1), torch.ones(3))
    graph: nn.Module = preprocessing(normalization, shorter_side=256, crop=224)
    free = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("height", min=2, max=MAX_SIDE),
        2: torch.export.Dim("width", min=2, max=MAX_SIDE),
    }
    example = torch.zeros(2, 300, 400, 3, dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(graph, (example,), dynamic_shapes=(free,))
        onnx_program = torch.onnx.export(program, dynamo=True, verbose=False, external_data=False)
    assert onnx_program is not None
    session = onnxruntime.InferenceSession(
        onnx_program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    for width, height in SIZES[1:-1]:
        image = picture(width, height, noise=True)
        (made,) = session.run(None, {name: np.array(image)[None]})
        assert np.array_equal(np.rint(made[0].transpose(1, 2, 0) * 255), by_pillow(image, 256, 224)), (
            width,
            height,
        )
