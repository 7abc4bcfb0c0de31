"""Which images a check is made of, where there are fewer than its batches take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.image_set import ImageSet
from rescli.errors import DataError
from rescli.exporters.base import Options
from rescli.exporters.parity.image_source import ImageSource, calibration_inputs
from rescli.exporters.parity.sample import Sample, raw_passes, stand_in_sample

Folder = Callable[..., Path]


def sample_of(count: int, *, size: int = 32) -> Sample:
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, size, size, 3)
    labels = torch.zeros(count, dtype=torch.int64)
    return Sample(ImageSet(images.contiguous(), labels, ("a",), ""), "shapes", "val", [0])


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (1, None, [1, 2, 7]),
        (2, None, [1, 2, 7]),
        (9, None, [1, 2, 7]),
        (10, None, [1, 2, 7]),
        (45, None, [1, 2, 7, 32, 3]),
        (1, 1, [1]),
        (5, 4, [4, 4]),
        (3, 64, [64]),
    ],
)
def test_every_image_comes_first_once_and_fills_the_rest(
    checkpoint_of: Callable[..., Any], count: int, batch_size: int | None, sizes: list[int]
) -> None:
    checkpoint = checkpoint_of("resnet-8")
    for raw in (False, True):
        passes = list(raw_passes(sample_of(count), checkpoint, raw=raw, batch_size=batch_size))
        assert [len(one.array) for one in passes] == sizes
        assert [len(one.inputs) for one in passes] == sizes
        first = [index for one in passes for index in one.members]
        assert first == list(range(count))
        if raw:
            shown = torch.cat([one.array[:, 0, 0, 0] for one in passes]).tolist()
            assert shown == [index % count for index in range(len(shown))]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """``folder(train=3, val=1)``: so many images of each of two classes."""

    def make(**counts: int) -> Path:
        rng = np.random.default_rng(0)
        for part, count in counts.items():
            for name in ("a", "b"):
                (tmp_path / "set" / part / name).mkdir(parents=True)
                for number in range(count):
                    pixels = rng.integers(0, 256, (40, 50 + number, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(tmp_path / "set" / part / name / f"{number}.png")
        return tmp_path / "set"

    return make


@pytest.fixture
def source_of(checkpoint_of: Callable[..., Any]) -> Callable[[Path | None], ImageSource]:
    spec = ImageFolderSpec(classes=("a", "b"))
    checkpoint = checkpoint_of("resnet-18", dataset=spec, width=8)

    def make(root: Path | None) -> ImageSource:
        return ImageSource(checkpoint, None, "same", root, None)

    return make


def test_a_val_part_of_two_images_leaves_it_to_train(
    folder: Folder, source_of: Callable[[Path | None], ImageSource]
) -> None:
    said: list[str] = []
    sample = source_of(folder(train=8, val=1)).to_check(None, Options(), said.append)
    assert (sample.split, len(sample)) == ("train", 16)
    assert said == [
        "imagefolder val has 2 images, fewer than the check's batches of 1, 2 and 7 take; train is used."
    ]


def test_where_no_part_is_large_enough_images_are_repeated(
    folder: Folder, source_of: Callable[[Path | None], ImageSource]
) -> None:
    said: list[str] = []
    source = source_of(folder(train=2, val=1))
    sample = source.to_check(None, Options(), said.append)
    assert (sample.split, len(sample)) == ("train", 4)
    assert len(said) == 2
    assert said[1].startswith("imagefolder train has 4 images, fewer than the check's batches of 1, 2 and 7")
    assert "they are repeated, each counts once, and so few say little" in said[1]
    for raw in (False, True):
        passes = list(raw_passes(sample, source.checkpoint, raw=raw))
        assert {1, 2, 7} <= {len(one.array) for one in passes}
    assert source.to_check(None, Options(batch_size=2), said.append).split == "val"
    assert len(said) == 2


@pytest.mark.parametrize("size", [8, 32, 48])
def test_shapes_stand_in_for_images_of_any_one_size(size: int) -> None:
    sample = stand_in_sample(3, size=size)
    assert sample.is_stand_in
    assert sample.raw(0).shape == (size, size, 3)
    assert len(torch.unique(sample.raw(0).view(-1, 3), dim=0)) > 8


def test_raw_photographs_in_batches_of_a_fixed_size(
    folder: Folder, source_of: Callable[[Path | None], ImageSource]
) -> None:
    source = source_of(folder(train=3, val=3))
    sample = source.to_check(None, Options(batch_size=4), lambda _: None)
    passes = list(raw_passes(sample, source.checkpoint, raw=True, batch_size=4))
    assert [one.array.shape for one in passes] == [(4, 40, 50, 3), (4, 40, 50, 3)]
    alone = list(raw_passes(sample, source.checkpoint, raw=True, batch_size=1))
    assert [len(one.array) for one in alone] == [1] * 6


def test_int8_is_calibrated_on_what_there_is(
    folder: Folder, source_of: Callable[[Path | None], ImageSource]
) -> None:
    said: list[str] = []
    source = source_of(folder(train=1, val=1))
    sample = source.to_calibrate(256, said.append)
    assert said == [
        "imagefolder train has 2 images to measure activations on, not 256; all of them are used."
    ]
    inputs = calibration_inputs(sample, source.checkpoint, Options(precision="int8"))
    assert all(len(one) for one in inputs)
    assert source.to_calibrate(1, said.append).images.file_names is not None
    assert len(said) == 1


def test_without_images_int8_says_how_to_get_them(source_of: Callable[[Path | None], ImageSource]) -> None:
    with pytest.raises(DataError, match="static quantization needs images of imagefolder") as refused:
        source_of(None).to_calibrate(256, print)
    assert [remedy.setting for remedy in refused.value.remedies] == ["data_root", "quantization"]


@pytest.mark.parametrize(
    ("raw", "batch_size"), [(False, None), (False, 4), (True, None), (True, 4), (True, 1)]
)
def test_each_photograph_is_a_member_of_one_pass(
    folder: Folder, source_of: Callable[[Path | None], ImageSource], raw: bool, batch_size: int | None
) -> None:
    source = source_of(folder(train=1, val=1))
    sample = source.to_check(None, Options(), lambda _: None)
    passes = list(raw_passes(sample, source.checkpoint, raw=raw, batch_size=batch_size))
    assert sorted(index for one in passes for index in one.members) == list(range(len(sample)))
