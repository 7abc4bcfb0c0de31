"""The plain batch in one call; tests/data/test_augment.py holds its parts to the paper's words."""

from __future__ import annotations

import pytest
import torch

from rescli.data.augment import crop_flip_key, crop_flip_parameters, pad_images
from rescli.data.normalization import Normalization
from rescli.kernels.crop.plain import crop_flip_batch


@pytest.mark.parametrize("flip", [True, False])
def test_batch_pixel_by_pixel(flip: bool) -> None:
    images = torch.randint(0, 256, (5, 6, 7, 3), dtype=torch.uint8)
    normalization = Normalization.fit(images, "per-channel")
    labels, indices, slots = torch.tensor([3, 1, 4, 1, 5]), torch.tensor([4, 0, 4, 2]), torch.arange(7, 11)
    batch, batch_labels = crop_flip_batch(
        pad_images(images, normalization, pad=2), labels, indices, slots, key=crop_flip_key(9), flip=flip
    )
    assert batch_labels.tolist() == [5, 3, 5, 4]
    parameters = zip(*crop_flip_parameters(slots, seed=9, pad=2), strict=True)
    for image, index, (dy, dx, flips) in zip(batch, indices, parameters, strict=True):
        padded = torch.nn.functional.pad(normalization.apply(images[index][None])[0], (2, 2, 2, 2))
        if flip and flips:
            padded = padded.flip(2)
        assert image.equal(padded[:, dy : dy + 6, dx : dx + 7])
