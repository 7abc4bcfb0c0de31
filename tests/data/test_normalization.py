from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Kind, Normalization
from rescli.errors import CheckpointError, DataError

KINDS: tuple[Kind, ...] = ("per-pixel-mean", "per-channel")


def random_images(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8))


def test_per_pixel_mean_is_numpys() -> None:
    images = random_images(5000)  # more than two chunks
    fitted = Normalization.fit(images, "per-pixel-mean")
    expected = (images.numpy().astype(np.float64) / 255).mean(0).transpose(2, 0, 1)
    assert fitted.mean_CHW.shape == (3, 6, 5)
    assert fitted.std_C is None
    np.testing.assert_allclose(fitted.mean_CHW.numpy(), expected, rtol=1e-7)


def test_per_channel_is_numpys() -> None:
    images = random_images(5000)
    fitted = Normalization.fit(images, "per-channel")
    scaled = images.numpy().astype(np.float64) / 255
    assert fitted.std_C is not None
    np.testing.assert_allclose(fitted.mean_CHW.numpy()[:, 0, 0], scaled.mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(fitted.std_C.numpy(), scaled.std((0, 1, 2)), rtol=1e-7)


def test_many_bright_images_do_not_overflow() -> None:
    """Sums of more than 2**31: 40,000 images of 254 and 255 have squares of 2.6e9 at each pixel."""
    images = torch.full((40_000, 1, 2, 3), 255, dtype=torch.uint8)
    images[:, :, 1] = 254
    fitted = Normalization.fit(images, "per-channel")
    assert fitted.std_C is not None
    torch.testing.assert_close(fitted.mean_CHW.flatten(), torch.full((3,), 254.5 / 255))
    torch.testing.assert_close(fitted.std_C, torch.full((3,), 0.5 / 255))


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_images_does_not_matter(kind: Kind) -> None:
    images = random_images(3000)
    a, b = Normalization.fit(images, kind), Normalization.fit(images.flip(0), kind)
    assert a.to_json() == b.to_json()


def test_apply_by_hand() -> None:
    mean = torch.tensor([0.5, 0.25, 0.0]).view(3, 1, 1)
    normalization = Normalization("per-channel", mean, torch.tensor([0.5, 0.25, 2.0]))
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    # (1 - 0.5) / 0.5, (0 - 0.25) / 0.25, (0.2 - 0) / 2
    assert normalization.apply(pixel).flatten().tolist() == pytest.approx([1.0, -1.0, 0.1])


@pytest.mark.parametrize("kind", KINDS)
def test_normalized_training_set_has_mean_zero(kind: Kind) -> None:
    images = random_images(500)
    fitted = Normalization.fit(images, kind)
    x = fitted.apply(images)
    assert x.shape == (500, 3, 6, 5)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.double().mean((0, 2, 3)).abs().max() < 1e-6
    if kind == "per-channel":
        assert x.double().std((0, 2, 3), correction=0).numpy() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_json_returns_every_bit(kind: Kind) -> None:
    fitted = Normalization.fit(random_images(50), kind)
    again = Normalization.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.kind == kind
    assert again.mean_CHW.equal(fitted.mean_CHW)
    if fitted.std_C is None:
        assert again.std_C is None
    else:
        assert again.std_C is not None
        assert again.std_C.equal(fitted.std_C)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "per-galaxy"}, "unknown kind 'per-galaxy'"),
        ({"kind": "per-pixel-mean"}, "does not fit"),
        ({"kind": ["per-channel"]}, "unknown kind"),
        ({"shape": [3, 1]}, "three positive integers"),
        ({"shape": [3, 1, True]}, "three positive integers"),
        ({"shape": [3, 2, 1]}, "12 bytes where"),
        ({"mean_float32_base64": "AAAA"}, "3 bytes where"),
        ({"mean_float32_base64": "ä"}, "damaged"),
        ({"mean_float32_base64": None}, "expected base64 text, found NoneType"),
        ({"mean_float32_base64": "AADAfwAAwH8AAMB/"}, "not a finite number"),
        ({"std_float32_base64": "AAAAAAAAAAAAAAAA"}, "not positive"),
        ({"std_float32_base64": None}, "does not fit"),
    ],
)
def test_damage_is_a_checkpoint_error(change: dict[str, Any], reason: str) -> None:
    stored = Normalization.fit(random_images(50), "per-channel").to_json()
    with pytest.raises(CheckpointError, match=reason):
        Normalization.from_json({**stored, **change})


def test_missing_key_and_wrong_type() -> None:
    stored = Normalization.fit(random_images(50), "per-channel").to_json()
    for key in ("kind", "shape", "mean_float32_base64", "std_float32_base64"):
        with pytest.raises(CheckpointError, match=f"no key '{key}'"):
            Normalization.from_json({k: v for k, v in stored.items() if k != key})
    with pytest.raises(CheckpointError, match="expected an object, found list"):
        Normalization.from_json([stored])


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="without images"):
        Normalization.fit(random_images(0), "per-pixel-mean")
    with pytest.raises(DataError, match="channel 0 has the same value"):
        Normalization.fit(torch.full((4, 2, 2, 3), 7, dtype=torch.uint8), "per-channel")
    with pytest.raises(ValueError, match="unknown normalization 'mean'"):
        Normalization.fit(random_images(3), "mean")  # type: ignore[arg-type]


def test_mean_image_of_another_size(image_set: ImageSet) -> None:
    fitted = Normalization.fit(random_images(10), "per-pixel-mean")
    with pytest.raises(ValueError, match="mean image is 6x5, the images are 8x8"):
        fitted.apply(image_set.images_NHWC)


def test_at_another_size_a_mean_image_becomes_its_channel_means() -> None:
    mean_CHW = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    per_pixel = Normalization("per-pixel-mean", mean_CHW)
    assert per_pixel.at_size(8, 8) is per_pixel
    reduced = per_pixel.at_size(5, 9)
    assert reduced.mean_CHW.shape == (3, 1, 1)
    np.testing.assert_allclose(reduced.mean_CHW[:, 0, 0], mean_CHW.numpy().mean((1, 2)), rtol=1e-6)
    pixels = torch.full((1, 5, 9, 3), 255, dtype=torch.uint8)
    np.testing.assert_allclose(reduced.apply(pixels)[0, :, 4, 8], 1 - reduced.mean_CHW[:, 0, 0])
    per_channel = Normalization("per-channel", torch.zeros(3, 1, 1), torch.ones(3))
    assert per_channel.at_size(5, 9) is per_channel


def test_levels_counted_give_the_same_statistics_bit_for_bit() -> None:
    images = torch.randint(0, 256, (7, 5, 6, 3), dtype=torch.uint8)
    counts = torch.stack([torch.bincount(images[..., c].flatten(), minlength=256) for c in range(3)])
    expected, found = Normalization.fit(images, "per-channel"), Normalization.fit_histogram(counts)
    assert found.mean_CHW.equal(expected.mean_CHW)
    assert found.std_C is not None
    assert expected.std_C is not None
    assert found.std_C.equal(expected.std_C)
    with pytest.raises(DataError, match="without images"):
        Normalization.fit_histogram(torch.zeros(3, 256, dtype=torch.int64))
