"""Batches of photographs: the same whoever decodes them, and damage named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.data.photos.augment import PhotoFinish, crop_pixels, draw_photos
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.errors import DataError

CHANNELS = Normalization("per-channel", torch.full((3, 1, 1), 0.5), torch.full((3,), 0.25))


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / f"class{number % 3}"
        folder.mkdir(exist_ok=True)
        width, height = int(rng.integers(20, 90)), int(rng.integers(20, 90))
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
    return read_folder(tmp_path, ("all",))["all"]


def loader_of(files: ImageFiles, *, workers: int = 0, skip_damaged: bool = False) -> PhotoLoader:
    return PhotoLoader(
        files,
        CHANNELS,
        batch_size=4,
        seed=3,
        device="cpu",
        size=32,
        shorter_side=(32, 48),
        flip=True,
        color=0.1,
        skip_damaged=skip_damaged,
        workers=workers,
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_bit(files: ImageFiles, workers: int) -> None:
    alone, helped = loader_of(files), loader_of(files, workers=workers)
    for step in range(7):  # over two epochs' borders
        for ours, theirs in zip(alone.batch(step), helped.batch(step), strict=True):
            assert ours.equal(theirs)
    helped.close()


def test_a_batch_is_what_its_step_says(files: ImageFiles) -> None:
    images, labels = loader_of(files).batch(5)
    indices, slots = SampleOrder(len(files), batch_size=4, seed=3).batch(5)
    draws = draw_photos(slots, seed=3, shorter_side=(32, 48), flip=True, color=0.1)
    pixels = np.stack(
        [
            crop_pixels(
                files.image(int(indices[b])),
                side=int(draws.sides_B[b]),
                top=int(draws.top_B[b]),
                left=int(draws.left_B[b]),
                size=32,
            )
            for b in range(4)
        ]
    )
    flipped = draws.flip_B.nonzero().flatten()
    finish = PhotoFinish(CHANNELS, height=32, width=32, device="cpu")
    assert images.equal(finish(torch.from_numpy(pixels), flipped, draws.shift_BC))
    assert labels.equal(files.labels_N[indices])


@pytest.mark.parametrize("workers", [0, 2])
def test_steps_may_be_asked_in_any_order(files: ImageFiles, workers: int) -> None:
    """As after a resume."""
    loader = loader_of(files, workers=workers)
    first = loader.batch(0)[0]
    ninth = loader.batch(9)[0]
    assert loader.batch(0)[0].equal(first)
    assert loader_of(files).batch(9)[0].equal(ninth)
    assert loader.waited_seconds > 0
    loader.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named(files: ImageFiles, workers: int) -> None:
    (files.root / files.file_names[4]).write_bytes(b"no image")
    loader = loader_of(files, workers=workers)
    with pytest.raises(DataError, match=r"class1/\d\.jpg cannot be decoded") as caught:
        _ = [loader.batch(step) for step in range(3)]  # an epoch
    assert [remedy.setting for remedy in caught.value.remedies] == ["data.skip_damaged"]


def test_one_to_be_skipped_gives_way_to_the_next_that_is_whole(files: ImageFiles) -> None:
    before = [loader_of(files).batch(step) for step in range(3)]
    for index in (4, 5):
        (files.root / files.file_names[index]).write_bytes(b"no image")
    loader = loader_of(files, skip_damaged=True)
    order = SampleOrder(len(files), batch_size=4, seed=3)
    for step in range(3):
        images, labels = loader.batch(step)
        for place, index in enumerate(order.batch(step)[0].tolist()):
            if index in (4, 5):
                assert labels[place] == files.labels_N[6]
            else:
                assert images[place].equal(before[step][0][place])
    assert loader.damaged == {files.file_names[4], files.file_names[5]}


def test_all_damaged_is_an_end(files: ImageFiles) -> None:
    for name in files.file_names:
        (files.root / name).write_bytes(b"no image")
    with pytest.raises(DataError, match="8 images in a row are damaged"):
        loader_of(files, skip_damaged=True).batch(0)
