from __future__ import annotations

import io
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from rescli.data.cifar.images import CIFAR10, CIFAR100, CifarFiles, read_cifar
from rescli.data.normalization import Normalization
from rescli.data.split import split_fingerprint, train_val_split
from rescli.errors import DataError, UnknownNameError

ALL = ("train", "val", "test")


def entries_of(fake: Any, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = pickle.Unpickler(
        io.BytesIO(fake.contents[name].replace(b"cnumpy.core.", b"cnumpy._core."))
    ).load()
    return loaded


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(CIFAR10, torchvision.datasets.CIFAR10), (CIFAR100, torchvision.datasets.CIFAR100)],
    ids=["cifar10", "cifar100"],
)
def test_table_is_torchvisions(ours: CifarFiles, theirs: Any) -> None:
    assert ours.files.url == theirs.url
    assert ours.files.archive == theirs.filename
    assert ours.files.archive_md5 == theirs.tgz_md5
    assert ours.files.folder == theirs.base_folder
    assert list(ours.train) == [name for name, _ in theirs.train_list]
    assert list(ours.test) == [name for name, _ in theirs.test_list]
    assert (ours.meta, ours.class_names_key) == (theirs.meta["filename"], theirs.meta["key"])
    expected = dict([*theirs.train_list, *theirs.test_list, [ours.meta, theirs.meta["md5"]]])
    assert ours.files.md5s == expected


def test_images_labels_and_split(fake_cifar: Any) -> None:
    sets = read_cifar(fake_cifar.cifar, fake_cifar.root, ALL, val_size=6, split_seed=1)
    assert list(sets) == list(ALL)
    assert [len(sets[split]) for split in ALL] == [14, 6, 4]
    entries = [entries_of(fake_cifar, name) for name in CIFAR10.train]
    pixels = np.concatenate([e["data"] for e in entries])
    labels = [label for e in entries for label in e["labels"]]
    train, val = train_val_split(20, val_size=6, seed=1)
    for split, indices in (("train", train), ("val", val)):
        for place, index in enumerate(indices.tolist()):
            image = sets[split].images_NHWC[place].numpy()
            # By the official description: 1024 red, 1024 green, 1024 blue, each row by row.
            assert all(
                image[y, x, c] == pixels[index][1024 * c + 32 * y + x]
                for c in range(3)
                for y in (0, 7, 31)
                for x in range(32)
            )
            assert sets[split].labels_N[place] == labels[index]
            assert sets[split].file_names[place] == f"data_batch_{index // 4 + 1}_{index % 4}.png"
    for found in sets.values():
        assert found.images_NHWC.dtype == torch.uint8
        assert found.images_NHWC.shape[1:] == (32, 32, 3)
        assert found.images_NHWC.is_contiguous()
        assert found.labels_N.dtype == torch.int64
        assert found.class_names == tuple(f"class {k}" for k in range(10))


def test_file_names_may_be_missing(fake_cifar: Any) -> None:
    entries = entries_of(fake_cifar, "test_batch")
    del entries["filenames"]
    (test,) = read_cifar(
        fake_cifar.rewrite("test_batch", entries), fake_cifar.root, ("test",), val_size=6, split_seed=0
    ).values()
    assert (len(test), test.file_names) == (4, ())


def test_archive_gives_the_same(fake_cifar: Any, tmp_path: Path) -> None:
    archive = fake_cifar.pack(tmp_path / "cifar.tar.gz")
    a = read_cifar(fake_cifar.cifar, fake_cifar.root, ALL, val_size=6, split_seed=0)
    b = read_cifar(fake_cifar.cifar, archive, ALL, val_size=6, split_seed=0)
    for split in ALL:
        assert a[split].images_NHWC.equal(b[split].images_NHWC)
        assert a[split].fingerprint == b[split].fingerprint


def test_without_validation(fake_cifar: Any) -> None:
    sets = read_cifar(fake_cifar.cifar, fake_cifar.root, ("train", "val"), val_size=0, split_seed=0)
    assert len(sets["train"]) == 20
    assert sets["val"].images_NHWC.shape == (0, 32, 32, 3)


def test_fingerprints_name_files_and_indices(fake_cifar: Any) -> None:
    def fingerprints(cifar: CifarFiles, **changes: int) -> dict[str, str]:
        given = {"val_size": 6, "split_seed": 0, **changes}
        sets = read_cifar(cifar, fake_cifar.root, ALL, **given)
        return {split: sets[split].fingerprint for split in ALL}

    first = fingerprints(fake_cifar.cifar)
    md5s = fake_cifar.cifar.files.md5s
    train, _ = train_val_split(20, val_size=6, seed=0)
    assert first["train"] == split_fingerprint([md5s[name] for name in CIFAR10.train], train)
    assert first["test"] == split_fingerprint([md5s["test_batch"]], torch.arange(4))
    other_split = fingerprints(fake_cifar.cifar, split_seed=1)
    assert other_split["train"] != first["train"]
    assert other_split["test"] == first["test"]
    changed = entries_of(fake_cifar, "test_batch")
    changed["labels"][0] = (changed["labels"][0] + 1) % 10
    other_files = fingerprints(fake_cifar.rewrite("test_batch", changed))
    assert other_files["train"] == first["train"]
    assert other_files["test"] != first["test"]


def test_test_set_stays_sealed(fake_cifar: Any) -> None:
    # A test file that cannot be decoded does not matter to who asks for training images.
    cifar = fake_cifar.rewrite("test_batch", ["not", "a", "dict"])
    assert len(read_cifar(cifar, fake_cifar.root, ("train",), val_size=6, split_seed=0)["train"]) == 14
    with pytest.raises(DataError, match=r"test_batch of CIFAR-10 .* holds a list"):
        read_cifar(cifar, fake_cifar.root, ("test",), val_size=6, split_seed=0)


@pytest.mark.parametrize(
    "change",
    [
        {"data": None},
        {"data": np.zeros((4, 3071), np.uint8)},
        {"data": np.zeros((4, 3072), np.float32)},
        {"labels": [0, 1, 2]},
        {"labels": [0, 1, 2, 10]},
        {"labels": [0, 1, 2, -1]},
        {"labels": ["0", "1", "2", "3"]},
    ],
)
def test_other_formats_are_refused(fake_cifar: Any, change: dict[str, Any]) -> None:
    cifar = fake_cifar.rewrite("data_batch_1", {**entries_of(fake_cifar, "data_batch_1"), **change})
    with pytest.raises(DataError, match="data_batch_1 of CIFAR-10 is not in the official format"):
        read_cifar(cifar, fake_cifar.root, ("train",), val_size=6, split_seed=0)


class Malicious:
    def __reduce__(self) -> Any:
        return subprocess.check_call, (["touch", "pwned"],)


def test_pickled_code_does_not_run(fake_cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cifar = fake_cifar.rewrite("batches.meta", {"label_names": Malicious()})
    with pytest.raises(DataError, match=r"refused to load subprocess\.check_call"):
        read_cifar(cifar, fake_cifar.root, ("train",), val_size=6, split_seed=0)
    assert not (tmp_path / "pwned").exists()


def test_object_arrays_are_refused(fake_cifar: Any) -> None:
    cifar = fake_cifar.rewrite("test_batch", {"data": np.array([{}], dtype=object), "labels": [0]})
    with pytest.raises(DataError, match="refused to load an array of O8"):
        read_cifar(cifar, fake_cifar.root, ("test",), val_size=6, split_seed=0)


def test_unknown_split(fake_cifar: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown split 'valid'.*Did you mean 'val'"):
        read_cifar(fake_cifar.cifar, fake_cifar.root, ("valid",), val_size=6, split_seed=0)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:dtype")  # numpy's, at torchvision's own reading of the files
def test_real_cifar10(cifar_root: Path) -> None:
    whole = read_cifar(CIFAR10, cifar_root, ("train", "test"), val_size=0, split_seed=0)
    train = whole["train"]
    assert train.labels_N.bincount().tolist() == [5000] * 10
    assert whole["test"].labels_N.bincount().tolist() == [1000] * 10
    assert train.class_names[:4] == ("airplane", "automobile", "bird", "cat")
    theirs = torchvision.datasets.CIFAR10(cifar_root, train=False, download=False)
    for index in (0, 9999):
        image, label = theirs[index]
        assert np.array_equal(np.asarray(image), whole["test"].images_NHWC[index].numpy())
        assert label == whole["test"].labels_N[index]
    # Summed pixel by pixel as integers, where float32 would round 50000 times.
    expected = train.images_NHWC.numpy().sum(0, dtype=np.int64) / (255 * 50_000)
    mean = Normalization.fit(train.images_NHWC, "per-pixel-mean").mean_CHW.numpy()
    np.testing.assert_allclose(mean.transpose(1, 2, 0), expected, rtol=1e-7)
    # The channel means that every CIFAR-10 recipe quotes.
    assert mean.mean((1, 2)) == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)


@pytest.mark.realdata
def test_real_split(cifar_root: Path) -> None:
    sets = read_cifar(CIFAR10, cifar_root, ("train", "val"), val_size=5000, split_seed=0)
    together = sets["train"].labels_N.bincount() + sets["val"].labels_N.bincount()
    assert together.tolist() == [5000] * 10
    # 500 of each class are expected in validation, with a standard deviation of 20.
    assert (sets["val"].labels_N.bincount() - 500).abs().max() < 100
