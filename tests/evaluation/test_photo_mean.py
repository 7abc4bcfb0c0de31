"""The statistics of photographs: of their centres, whatever is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.evaluation.photo_mean import measure_photos


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
