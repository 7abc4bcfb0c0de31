"""The statistics of photographs: of their centres, whatever is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.evaluation.images.photo_mean import measure_photos


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Grey levels 10, 20, ... 60: the mean is known without resizing anything."""
    (tmp_path / "a").mkdir()
    for number in range(1, 7):
        Image.fromarray(np.full((40, 50, 3), 10 * number, np.uint8)).save(tmp_path / "a" / f"{number}.png")
    return read_folder(tmp_path, ("all",))["all"]


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_of_all_that_are_whole(files: ImageFiles, kind: str) -> None:
    whole = measure_photos(files, kind, size=32)  # type: ignore[arg-type]
    assert whole.mean_CHW.shape == ((3, 32, 32) if kind == "per-pixel-mean" else (3, 1, 1))
    assert torch.allclose(whole.mean_CHW, torch.tensor(35 / 255))
    (files.root / "a/6.png").write_bytes(b"no image")
    skipped: set[str] = set()
    rest = measure_photos(files, kind, size=32, skipped=skipped)  # type: ignore[arg-type]
    assert torch.allclose(rest.mean_CHW, torch.tensor(30 / 255))
    assert skipped == {"a/6.png"}


def test_damage_is_an_error_unless_it_may_be_skipped(files: ImageFiles) -> None:
    (files.root / "a/2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/2\.png cannot be decoded"):
        measure_photos(files, "per-channel", size=32)
    for name in files.file_names:
        (files.root / name).write_bytes(b"no image")
    with pytest.raises(DataError, match="without images"):
        measure_photos(files, "per-channel", size=32, skipped=set())


def test_a_sliver_costs_one_crop(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (60_000, 1), (35, 35, 35)).save(files.root / "a/1.png")
    Image.new("RGB", (60_000, 1), (45, 45, 45)).save(files.root / "a/4.png")
    resize = Image.Image.resize

    def watched(self: Image.Image, size: tuple[int, int], *args: Any, **kwargs: Any) -> Image.Image:
        assert size[0] * size[1] <= 2**23
        return resize(self, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)
    mean = measure_photos(files, "per-channel", size=224).mean_CHW
    assert torch.allclose(mean, torch.tensor((20 + 30 + 50 + 60 + 35 + 45) / 6 / 255))


def test_of_what_the_net_will_see(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = 200
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a/1.png", exif=exif)
    stored = read_folder(tmp_path, ("all",))["all"]
    upright = stored.oriented(upright=True)
    assert stored.fingerprint != upright.fingerprint == stored.oriented(upright=True).fingerprint
    means = [measure_photos(one, "per-pixel-mean", size=32).mean_CHW[0] for one in (stored, upright)]
    assert means[1].equal(means[0].rot90(-1))
