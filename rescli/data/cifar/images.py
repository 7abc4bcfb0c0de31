"""CIFAR-10 and CIFAR-100 from the official Python files (https://www.cs.toronto.edu/~kriz/cifar.html).

The files are pickles. They are read only after their MD5 has matched, and even then by an unpickler
that can build numpy arrays of bytes and nothing else. Of the files, only those of the asked splits
are decoded: a training run never sees a test image.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rescli.data.cifar.official_files import OfficialFiles, read_checked
from rescli.data.image_set import ImageSet
from rescli.data.split import split_fingerprint, train_val_split
from rescli.errors import DataError, UnknownNameError
from rescli.plurals import an

__all__ = ["CIFAR10", "CIFAR100", "CifarFiles", "read_cifar"]

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class CifarFiles:
    """The files of one CIFAR set and the part each plays; the keys name entries of the pickles."""

    files: OfficialFiles
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    labels_key: str
    class_names_key: str


CIFAR10 = CifarFiles(
    files=OfficialFiles(
        title="CIFAR-10",
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        archive_bytes=170_498_071,
        archive_md5="c58f30108f718f92721af3b95e74349a",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5s={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    train=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    test=("test_batch",),
    meta="batches.meta",
    labels_key="labels",
    class_names_key="label_names",
)

CIFAR100 = CifarFiles(
    files=OfficialFiles(
        title="CIFAR-100",
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        archive_bytes=169_001_437,
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        md5s={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
    train=("train",),
    test=("test",),
    meta="meta",
    labels_key="fine_labels",
    class_names_key="fine_label_names",
)


def read_cifar(
    cifar: CifarFiles, data_root: Path | None, splits: tuple[str, ...], *, val_size: int, split_seed: int
) -> dict[str, ImageSet]:
    """Read the named splits, out of ``train``, ``val`` and ``test``; ``data_root`` as in ``read_checked``.

    ``train`` and ``val`` divide the official training images, ``val_size`` to the latter, in file
    order; ``test`` is the official test set.

    Raises:
        DataError: files missing, damaged or unreadable, or a download that failed.
        UnknownNameError: a split of another name.
        ValueError: ``val_size`` leaves nothing to train on.
    """
    for split in splits:
        if split not in _SPLITS:
            raise UnknownNameError("split", split, _SPLITS)
    names_train = cifar.train if {"train", "val"} & set(splits) else ()
    names_test = cifar.test if "test" in splits else ()
    contents = read_checked(cifar.files, data_root, wanted=(cifar.meta, *names_train, *names_test))
    class_names = _class_names(cifar, contents.pop(cifar.meta))
    found: dict[str, ImageSet] = {}
    if names_train:
        images, labels, file_names = _decode(cifar, names_train, contents, len(class_names))
        train, val = train_val_split(len(labels), val_size=val_size, seed=split_seed)
        for split, indices in (("train", train), ("val", val)):
            if split in splits:
                fingerprint = split_fingerprint((cifar.files.md5s[n] for n in cifar.train), indices)
                chosen = tuple(file_names[i] for i in indices.tolist()) if file_names else ()
                found[split] = ImageSet(images[indices], labels[indices], class_names, fingerprint, chosen)
    if names_test:
        images, labels, file_names = _decode(cifar, names_test, contents, len(class_names))
        fingerprint = split_fingerprint((cifar.files.md5s[n] for n in cifar.test), torch.arange(len(labels)))
        found["test"] = ImageSet(images, labels, class_names, fingerprint, tuple(file_names))
    return {split: found[split] for split in splits}


def _decode(
    cifar: CifarFiles, names: tuple[str, ...], contents: dict[str, bytes], num_classes: int
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """The images, uint8 (N, 32, 32, 3), labels, int64 (N,), and names of the named files in turn."""
    images, labels, file_names = [], [], []
    for name in names:
        # Popped, so that the raw bytes (31 MB a file) go as soon as they are used.
        entries = _unpickle(cifar, name, contents.pop(name))
        data, label = entries.get("data"), entries.get(cifar.labels_key)
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or data.ndim != 2
            or data.shape[1] != 3 * 32 * 32
            or not isinstance(label, list)
            or len(label) != len(data)
            or not all(type(k) is int and 0 <= k < num_classes for k in label)
        ):
            raise _malformed(cifar, name, f"no images under 'data' with labels under {cifar.labels_key!r}")
        # Channel by channel in the file: 1024 red values, then green, then blue, each row by row.
        images.append(torch.from_numpy(data).view(-1, 3, 32, 32).permute(0, 2, 3, 1))
        labels.append(torch.tensor(label, dtype=torch.int64))
        file_names += entries.get("filenames", [])
    all_named = len(file_names) == sum(map(len, labels))
    return torch.cat(images).contiguous(), torch.cat(labels), file_names if all_named else []


def _class_names(cifar: CifarFiles, content: bytes) -> tuple[str, ...]:
    names = _unpickle(cifar, cifar.meta, content).get(cifar.class_names_key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _malformed(cifar, cifar.meta, f"no class names under {cifar.class_names_key!r}")
    return tuple(names)


def _unpickle(cifar: CifarFiles, name: str, content: bytes) -> Mapping[str, Any]:
    try:
        entries = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise _malformed(cifar, name, f"{type(error).__name__}: {error}") from error
    if not isinstance(entries, dict):
        raise _malformed(cifar, name, f"holds {an(type(entries).__name__)}, expected a dict")
    return entries


def _malformed(cifar: CifarFiles, name: str, reason: str) -> DataError:
    return DataError(f"{name} of {cifar.files.title} is not in the official format: {reason}.")


class _ArrayUnpickler(pickle.Unpickler):
    """Builds dicts, lists, numbers, strings and numpy arrays of numbers; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        }:
            # Taken from an array: the module moved in numpy 2, and its old name warns.
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return _number_dtype
        raise pickle.UnpicklingError(f"refused to load {module}.{name}")


def _number_dtype(code: str, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """``numpy.dtype`` for numbers only; the files give its flags as 0 and 1, at which numpy 2.4 warns."""
    dtype = np.dtype(code, align=bool(align), copy=bool(copy))
    if dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"refused to load an array of {code}")
    return dtype
