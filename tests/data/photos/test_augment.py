"""The augmentation of photographs against a slow second formula, and its distribution."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.data.photos.augment import PhotoFinish, crop_pixels, draw_photos
from rescli.data.photos.decoding import open_rgb
from rescli.data.photos.loader import PhotoLoader

FRACTION = 1 << 24
PAPER = {"shorter_side": (256, 480), "flip": True, "color": 0.1}


def triangle(size: int, new_size: int) -> np.ndarray:
    """Bilinear, antialiased, as float64 (new_size, size): a triangle as wide as the reduction."""
    scale = size / new_size
    reach = max(1.0, scale)
    centres = (np.arange(new_size) + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs((np.arange(size) + 0.5)[None] - centres[:, None]) / reach)
    return weights / weights.sum(1, keepdims=True)


def slow(image: Image.Image, side: int, top: int, left: int, size: int) -> np.ndarray:
    """The crop of the image resized in float64: the weights' rows that belong to it, never rounded."""
    width, height = image.size
    new_width, new_height = (
        (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    )
    pixels = np.asarray(image, dtype=np.float64)
    x, y = left * (new_width - size + 1) // FRACTION, top * (new_height - size + 1) // FRACTION
    columns, rows = triangle(width, new_width)[x : x + size], triangle(height, new_height)[y : y + size]
    wide = np.tensordot(columns, pixels, axes=(1, 1))  # (x, h, c)
    return np.tensordot(rows, wide, axes=(1, 1))  # (y, x, c)


def picture(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width + height)
    coarse = rng.integers(0, 256, (max(2, height // 12), max(2, width // 12), 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (224, 224), (31, 47), (900, 60), (60, 700), (1, 1)])
def test_a_crop_is_the_slow_ones(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    """Of JPEG files: grey, CMYK, tiny, very wide and very high. Two roundings instead of one: 1.5 levels."""
    picture(*size).convert(mode).save(tmp_path / "a.jpg", quality=90)
    image = open_rgb(tmp_path / "a.jpg")
    draws = draw_photos(torch.arange(4), seed=3, **PAPER)
    for side, top, left in zip(
        draws.sides_B.tolist(), draws.top_B.tolist(), draws.left_B.tolist(), strict=True
    ):
        made = crop_pixels(image, side=side, top=top, left=left, size=224)
        assert made.shape == (224, 224, 3)
        assert np.abs(made - slow(image, side, top, left, 224)).max() < 1.6


@pytest.mark.parametrize("folder", ["imagenet-sample200", "imagenette224"])
@pytest.mark.realdata
def test_batches_of_real_photographs_are_the_slow_ones(folder: str) -> None:
    """Of what a loader gives, each image: grey ones, the smallest, the widest, the highest, and others."""
    given = os.environ.get("RESCLI_TEST_PHOTOS")
    if not given:
        pytest.skip("RESCLI_TEST_PHOTOS is not set: the folder of imagenet-sample200 and imagenette224")
    root = Path(given) / folder
    split = "val" if (root / "val").is_dir() else "all"
    whole = read_folder(root, (split,))[split]
    sizes = []
    for name in whole.file_names:
        with Image.open(whole.root / name) as image:
            sizes.append(image.size)
    other = [i for i in range(len(whole)) if whole.stored_mode(i) != "RGB"]
    assert {whole.stored_mode(i) for i in other} >= {"L"}
    by_shape = sorted(range(len(whole)), key=lambda i: sizes[i][0] / sizes[i][1])
    by_size = sorted(range(len(whole)), key=lambda i: min(sizes[i]))
    chosen = {*other[:3], *by_shape[:2], *by_shape[-2:], *by_size[:2], by_size[-1], 0, len(whole) // 2}
    files = whole.subset(torch.tensor(sorted(chosen)))
    normalization = Normalization("per-channel", torch.full((3, 1, 1), 0.45), torch.tensor([0.2, 0.25, 0.3]))
    recipe = {"flip": True, "color": 0.1, "shorter_side": (256, 480)}
    loader = PhotoLoader(
        *(files, normalization),
        batch_size=len(files),
        seed=1,
        device="cpu",
        size=224,
        workers=0,
        skip_damaged=False,
        **recipe,
    )
    flips = 0
    for step in range(2):
        images, labels = loader.batch(step)
        indices, slots = SampleOrder(len(files), batch_size=len(files), seed=1).batch(step)
        assert sorted(indices.tolist()) == list(range(len(files)))  # an epoch: each once
        draws = draw_photos(slots, seed=1, **recipe)
        flips += int(draws.flip_B.sum())
        for place, index in enumerate(indices.tolist()):
            with Image.open(files.root / files.file_names[index]) as stored:
                image = stored.convert("RGB")
            side, top, left = (int(part[place]) for part in (draws.sides_B, draws.top_B, draws.left_B))
            pixels = slow(image, side, top, left, 224)
            pixels = pixels[:, ::-1] if draws.flip_B[place] else pixels
            expected = (pixels / 255 + draws.shift_BC[place].numpy() - 0.45) / np.array([0.2, 0.25, 0.3])
            levels = (images[place].permute(1, 2, 0).double().numpy() - expected) * [51, 63.75, 76.5]
            assert np.abs(levels).max() < 1.6
            assert np.abs(levels).mean() < 0.5
            assert labels[place] == files.labels_N[index]
    assert 0 < flips < 2 * len(files)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (FRACTION - 1, FRACTION - 1)])
def test_first_and_last_places_are_reached(top: int, left: int) -> None:
    image = picture(400, 300)
    whole = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))
    made = crop_pixels(image, side=256, top=top, left=left, size=224)
    corner = whole[:224, :224] if top == 0 else whole[-224:, -224:]
    assert np.abs(made.astype(int) - corner).max() <= 1


def test_draws_are_a_function_of_seed_and_slot() -> None:
    slots = torch.tensor([7, 100_000_007, 3])
    whole, again = draw_photos(slots, seed=5, **PAPER), draw_photos(slots[1:2], seed=5, **PAPER)
    for name in ("sides_B", "top_B", "left_B", "flip_B", "shift_BC"):
        assert getattr(whole, name)[1:2].equal(getattr(again, name))
    assert not draw_photos(slots, seed=6, **PAPER).top_B.equal(whole.top_B)


def test_their_distribution() -> None:
    count = 100_000
    draws = draw_photos(torch.arange(count), seed=0, **PAPER)
    assert (int(draws.sides_B.min()), int(draws.sides_B.max())) == (256, 480)
    seen = torch.bincount(draws.sides_B - 256, minlength=225).double()
    chi_square = float(((seen - count / 225) ** 2 / (count / 225)).sum())
    assert chi_square < 300  # 224 degrees of freedom: exceeded once in 2,000 times
    for part in (draws.top_B, draws.left_B):
        thirds = torch.bincount(part * 3 // FRACTION, minlength=3) / count
        assert thirds.sub(1 / 3).abs().max() < 0.006
    assert abs(float(draws.flip_B.double().mean()) - 0.5) < 0.006
    table = torch.stack([draws.sides_B, draws.top_B, draws.left_B, draws.flip_B.long()]).double()
    assert torch.corrcoef(table).sub(torch.eye(4)).abs().max() < 0.015


def test_the_colour_shift_has_the_covariance_of_the_components() -> None:
    """Sum over components of (sigma l)^2 v v^T; and its constants are an orthonormal basis."""
    from rescli.data.photos.augment import _EIGENVALUES, _EIGENVECTORS

    vectors = torch.tensor(_EIGENVECTORS, dtype=torch.float64)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(3, dtype=torch.float64), atol=1e-3, rtol=0)
    shift = draw_photos(torch.arange(200_000), seed=1, **PAPER).shift_BC.double()
    scale = torch.diag((0.1 * torch.tensor(_EIGENVALUES, dtype=torch.float64)) ** 2)
    torch.testing.assert_close(shift.T.cov(), vectors @ scale @ vectors.T, rtol=0.02, atol=2e-8)
    assert shift.mean(0).abs().max() < 1e-4
    none = draw_photos(torch.arange(9), seed=1, shorter_side=(256, 480), flip=False, color=0)
    assert not none.shift_BC.any()
    assert not none.flip_B.any()


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_the_device_flips_shifts_and_normalises(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8, generator=generator)
    normalization = Normalization.fit(pixels, kind)  # type: ignore[arg-type]
    flip, shift = torch.tensor([True, False, True]), torch.randn(3, 3, generator=generator)
    finish = PhotoFinish(normalization, height=8, width=8, device="cpu")
    made = finish(pixels.clone(), flip.nonzero().flatten(), shift)
    assert made.is_contiguous(memory_format=torch.channels_last)
    for place in range(3):
        image = pixels[place].flip(1) if flip[place] else pixels[place]
        x = image.double().permute(2, 0, 1) / 255 + shift[place].double().view(3, 1, 1)
        x = x - normalization.mean_CHW.double()
        x = x if normalization.std_C is None else x / normalization.std_C.double().view(3, 1, 1)
        torch.testing.assert_close(made[place].double(), x, rtol=1e-5, atol=1e-5)
