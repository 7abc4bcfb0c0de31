"""The gather kernel: bit for bit what plain torch draws. In the interpreter or on CUDA."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from rescli.data.augment import crop_flip_key, crop_flip_normalize, crop_flip_parameters, pad_images
from rescli.data.image_set import ImageSet
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Kind, Normalization

crop_triton: Any = pytest.importorskip("rescli.kernels.crop.triton", exc_type=ImportError)
if not crop_triton.INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device; test_interpreter.py runs these", allow_module_level=True)
pytestmark = pytest.mark.gpu


def images_of(size: tuple[int, int, int], count: int = 5) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize(("pad", "size"), [(0, (8, 8, 3)), (2, (5, 7, 3)), (4, (19, 20, 3))])
def test_equals_plain_torch(
    kind: Kind, flip: bool, pad: int, size: tuple[int, int, int], device: torch.device
) -> None:
    images = images_of(size)
    normalization = Normalization.fit(images, kind)
    indices, slots = torch.arange(8) % 5, torch.arange(8) + (1 << 40)
    labels = torch.tensor([7, 1, 4, 9, 2])
    for seed in (0, -1):
        dy, dx, flips = crop_flip_parameters(slots, seed=seed, pad=pad)
        plain = pad_images(images, normalization, pad=pad)
        expected = crop_flip_normalize(plain, indices, dy, dx, flips if flip else None)
        batch, batch_labels = crop_triton.crop_flip_batch_triton(
            pad_images(images, normalization, pad=pad, device=device),
            labels.to(device),
            indices.to(device),
            slots.to(device),
            key=crop_flip_key(seed),
            flip=flip,
        )
        assert batch.shape == expected.shape
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert batch.cpu().equal(expected)
        assert batch_labels.cpu().equal(labels[indices])


def test_every_offset_and_flip_occurs_and_no_state_is_special(device: torch.device) -> None:
    """Keys whose first state is 0, 1, a small number or the least int64 are numbers like any other."""
    images = images_of((4, 4, 1), count=1)
    padded = pad_images(images, Normalization.fit(images, "per-channel"), pad=1, device=device)
    labels, slots = torch.zeros(1, dtype=torch.int64), torch.arange(24)
    gamma = 0x9E3779B97F4A7C15
    for state in (0, 1, 16, 1 << 63, (1 << 64) - 1):
        given = (labels.to(device), torch.zeros_like(slots).to(device), slots.to(device))
        key = (state - gamma) % (1 << 64)
        found, _ = crop_triton.crop_flip_batch_triton(padded, *given, key=key, flip=True)
        expected, _ = crop_triton.crop_flip_batch(padded, *given, key=key, flip=True)
        assert found.equal(expected)
        assert len({image.cpu().numpy().tobytes() for image in found}) > 8  # of 18


def test_loader_draws_the_same_batches(device: torch.device, launches: Counter[str]) -> None:
    images = images_of((8, 8, 3), count=10)
    image_set = ImageSet(images, torch.arange(10), tuple("abcdefghij"), fingerprint="")
    normalization = Normalization.fit(images, "per-pixel-mean")
    loaders = [
        DeviceLoader(
            image_set,
            normalization,
            batch_size=6,
            seed=1,
            device=device,
            pad=2,
            flip=True,
            share=slice(1, None, 2),
            kernels=kernels,
        )
        for kernels in ("plain", "triton")
    ]
    for step in range(4):
        (images_a, labels_a), (images_b, labels_b) = (loader.batch(step) for loader in loaders)
        assert images_a.equal(images_b)
        assert labels_a.equal(labels_b)
    assert launches == {"crop_flip_normalize": 4}
