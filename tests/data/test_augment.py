from __future__ import annotations

import numpy as np
import pytest
import torch

from rescli.data.augment import crop_flip_normalize, crop_flip_parameters, pad_images
from rescli.data.normalization import Kind, Normalization


def one_by_one(
    images: np.ndarray, normalization: Normalization, pad: int, picks: list[tuple[int, int, int, bool]]
) -> np.ndarray:
    """The paper's words, image by image: subtract the mean, pad with 0, flip, crop."""
    height, width = images.shape[1:3]
    mean_HWC = normalization.mean_CHW.numpy().transpose(1, 2, 0)
    crops = []
    for index, dy, dx, flip in picks:
        x = images[index].astype(np.float32) / np.float32(255) - mean_HWC
        if normalization.std_C is not None:
            x = x / normalization.std_C.numpy()
        x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        if flip:
            x = x[:, ::-1]
        crops.append(x[dy : dy + height, dx : dx + width].transpose(2, 0, 1))
    return np.stack(crops)


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize(
    ("pad", "height", "width"), [(0, 8, 8), (1, 8, 8), (4, 32, 32), (3, 5, 7), (5, 4, 4)]
)
def test_equals_one_by_one(kind: Kind, flips: bool, pad: int, height: int, width: int) -> None:
    random = np.random.default_rng(pad)
    images = random.integers(0, 256, (6, height, width, 3), dtype=np.uint8)
    normalization = Normalization.fit(torch.from_numpy(images), kind)
    # Every offset, both flips, and the first and last image, whose crops touch the set's ends.
    picks = [
        (index, dy, dx, flip)
        for index in (0, 3, 5)
        for dy in range(2 * pad + 1)
        for dx in range(2 * pad + 1)
        for flip in ((False, True) if flips else (False,))
    ]
    columns = [torch.tensor(column) for column in zip(*picks, strict=True)]
    padded = pad_images(torch.from_numpy(images), normalization, pad=pad)
    batch = crop_flip_normalize(padded, *columns[:3], columns[3] if flips else None)
    assert batch.shape == (len(picks), 3, height, width)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.numpy(), one_by_one(images, normalization, pad, picks))


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_without_augmentation_equals_apply(kind: Kind) -> None:
    images = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    normalization = Normalization.fit(images, kind)
    zero, order = torch.zeros(5, dtype=torch.int64), torch.tensor([4, 2, 0, 1, 3])
    padded = pad_images(images, normalization, pad=0)
    batch = crop_flip_normalize(padded, order, zero, zero, None)
    assert batch.equal(normalization.apply(images[order]))


def test_padding_is_exactly_zero() -> None:
    images = torch.full((1, 8, 8, 3), 200, dtype=torch.uint8)
    images[0, 0, 0] = 3
    padded = pad_images(images, Normalization.fit(images.flip(2), "per-channel"), pad=4)
    corner = torch.tensor([0])
    batch = crop_flip_normalize(padded, corner, corner, corner, None)
    assert batch[0, :, :4].eq(0).all()
    assert batch[0, :, :, :4].eq(0).all()
    assert batch[0, :, 4:, 4:].ne(0).all()


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_offsets_are_uniform_and_independent(pad: int) -> None:
    num_offsets = 2 * pad + 1
    count = 400 * 2 * num_offsets**2
    dy, dx, flip = crop_flip_parameters(torch.arange(count), seed=0, pad=pad)
    assert dy.dtype == dx.dtype == torch.int64
    assert flip.dtype == torch.bool
    cells = 2 * num_offsets**2
    counts = ((flip * num_offsets + dy) * num_offsets + dx).bincount(minlength=cells)
    assert len(counts) == cells
    # Chi-square over all (flip, dy, dx): mean cells - 1, standard deviation sqrt(2 (cells - 1)).
    chi_square = float(((counts - 400.0) ** 2 / 400).sum())
    assert abs(chi_square - (cells - 1)) < 5 * (2 * (cells - 1)) ** 0.5


def test_parameters_stay_what_they_were() -> None:
    # Held for good: a resumed run must go on as it began.
    dy, dx, flip = crop_flip_parameters(torch.arange(6), seed=0, pad=4)
    assert dy.tolist() == [8, 7, 4, 4, 0, 7]
    assert dx.tolist() == [6, 1, 1, 8, 3, 4]
    assert flip.int().tolist() == [0, 0, 1, 1, 1, 1]


def test_parameters_depend_on_slot_and_seed_alone() -> None:
    slots = torch.arange(1000)
    whole = torch.stack(crop_flip_parameters(slots, seed=3, pad=4))
    assert whole[:, 500:].equal(torch.stack(crop_flip_parameters(slots[500:], seed=3, pad=4)))
    # With another seed, one in 9 * 9 * 2 = 162 agrees by chance: about 6 of 1000.
    other = torch.stack(crop_flip_parameters(slots, seed=4, pad=4))
    assert int((whole == other).all(0).sum()) < 25


def test_refuses_what_it_cannot_pad() -> None:
    images = torch.zeros((2, 8, 8, 3), dtype=torch.uint8)
    normalization = Normalization("per-pixel-mean", torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="got 2 and -1"):
        pad_images(images, normalization, pad=-1)
    with pytest.raises(ValueError, match="got 0 and 4"):
        pad_images(images[:0], normalization, pad=4)
    with pytest.raises(ValueError, match="mean image is 8x8, the images are 4x8"):
        pad_images(images[:, :4], normalization, pad=4)
