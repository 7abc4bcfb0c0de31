"""A small CIFAR set in the official format, and a small image set."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rescli.data.cifar.images import CIFAR10, CifarFiles
from rescli.data.image_set import ImageSet

IMAGES_PER_FILE = 4


@dataclass
class FakeCifar:
    """``cifar`` describes files that lie in ``root / cifar.files.folder``."""

    root: Path
    cifar: CifarFiles
    contents: dict[str, bytes]

    @property
    def folder(self) -> Path:
        return self.root / self.cifar.files.folder

    def pack(self, archive: Path, *, without: str = "") -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in self.contents.items():
                if name != without:
                    member = tarfile.TarInfo(f"{self.cifar.files.folder}/{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        return archive

    def rewrite(self, name: str, entries: Any) -> CifarFiles:
        """Another content for one file, with its MD5 in the table."""
        content = as_pickle(entries)
        (self.folder / name).write_bytes(content)
        md5s = {**self.cifar.files.md5s, name: md5(content)}
        return dataclasses.replace(self.cifar, files=dataclasses.replace(self.cifar.files, md5s=md5s))


def as_pickle(entries: Any) -> bytes:
    """As the official files: numpy's reconstructor under the name it had before numpy 2."""
    return pickle.dumps(entries, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core.")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def fake_cifar(tmp_path: Path) -> FakeCifar:
    random = np.random.default_rng(0)
    contents = {}
    for name in (*CIFAR10.train, *CIFAR10.test):
        pixels = random.integers(0, 256, (IMAGES_PER_FILE, 3072), dtype=np.uint8)
        labels = [int(k) for k in random.integers(0, 10, IMAGES_PER_FILE)]
        file_names = [f"{name}_{k}.png" for k in range(IMAGES_PER_FILE)]
        contents[name] = as_pickle(
            {"batch_label": name, "labels": labels, "data": pixels, "filenames": file_names}
        )
    contents[CIFAR10.meta] = as_pickle({"label_names": [f"class {k}" for k in range(10)]})
    files = dataclasses.replace(
        CIFAR10.files,
        url="http://127.0.0.1:1/cifar-10-python.tar.gz",
        md5s={name: md5(content) for name, content in contents.items()},
    )
    fake = FakeCifar(tmp_path / "data", dataclasses.replace(CIFAR10, files=files), contents)
    fake.folder.mkdir(parents=True)
    for name, content in contents.items():
        (fake.folder / name).write_bytes(content)
    return fake


@pytest.fixture
def image_set() -> ImageSet:
    """Twenty random 8x8 images in 10 classes."""
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        images_NHWC=torch.randint(0, 256, (20, 8, 8, 3), dtype=torch.uint8, generator=generator),
        labels_N=torch.arange(20) % 10,
        class_names=tuple("abcdefghij"),
        fingerprint="0" * 64,
    )
