"""``rescli data pack``: the same images from one file, and a run on them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import rot
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from rescli.data.folders.read import read_folder
from rescli.data.photos import packed as packed_module
from rescli.data.photos.pack_index import packed_counts

Rescli = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            folder = root / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            size = (40, 30) if number % 3 else (90, 120)
            coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(
                folder / f"{number}.{'jpg' if number else 'png'}"
            )
    return root


def test_small_jpegs_are_copied_and_large_ones_reduced(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed, "--short-side", 60)
    assert (answer.code, answer.out.strip()) == (0, str(packed))
    assert sorted(os.listdir(packed)) == [
        *("packed.json", "train.images", "train.safetensors", "val.images", "val.safetensors")
    ]
    assert packed_counts(packed) == (("class0", "class1"), {"train": 8, "val": 4})
    before, after = read_folder(photos, ("train",))["train"], read_folder(packed, ("train",))["train"]
    assert after.file_names == before.file_names
    assert after.labels_N.equal(before.labels_N)
    for index, name in enumerate(before.file_names):
        image, small = before.image(index), after.image(index)
        if image.size == (40, 30) and name.endswith("jpg"):
            assert after.content(index) == before.content(index)
        elif image.size == (90, 120):
            assert small.size == (60, 80)
            reference = np.asarray(image.resize((60, 80), Image.Resampling.BILINEAR), dtype=int)
            assert np.abs(np.asarray(small, dtype=int) - reference).mean() < 3
    part = after.subset(after.labels_N.argsort(stable=True)[[5, 1]])
    assert [np.asarray(part.image(k)).shape for k in range(2)] == [
        np.asarray(after.image(after.file_names.index(name))).shape for name in part.file_names
    ]


def test_training_verifying_and_evaluating_take_it(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    flags = (
        *("--dataset", "imagefolder", "--depth", 18, "--set", "model.width=4", "--iterations", 2),
        *("--batch-size", 4, "--device", "cpu", "--workers", 1),
    )
    assert rescli("train", *flags, "--data-root", packed, "--out", tmp_path / "run").code == 0
    ckpt = tmp_path / "run/checkpoints/last.safetensors"
    rows = [
        rescli("eval", ckpt, "--data-root", root, "--json").json["results"][0] for root in (packed, packed)
    ]
    assert rows[0]["num_images"] == 4
    assert rescli("data", "verify", "imagefolder", "--data-root", packed).code == 0


def test_damage_is_exit_3(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    whole = (packed / "val.images").read_bytes()
    (packed / "val.images").write_bytes(whole[:-5])
    answer = rescli("data", "verify", "imagefolder", "--data-root", packed, "--split", "val")
    assert answer.code == 3
    assert "should have" in answer.out + answer.err
    (packed / "packed.json").write_text("{}")
    assert rescli("data", "verify", "imagefolder", "--data-root", packed).code == 3


def test_a_damaged_image_leaves_nothing(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    (photos / "train/class1/1.jpg").write_bytes(b"no image")
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    assert answer.code == 3
    assert "1 of the 8 train images cannot be read" in answer.err
    assert "class1/1.jpg cannot be decoded" in answer.err
    assert os.listdir(tmp_path) == ["photos"]


@pytest.mark.parametrize(("name", "says"), [("cifar10", "nothing to pack"), ("imagfolder", "Did you mean")])
def test_what_cannot_be_packed_is_exit_2(rescli: Rescli, tmp_path: Path, name: str, says: str) -> None:
    answer = rescli("data", "pack", name, "--out", tmp_path / "packed")
    assert answer.code == 2
    assert says in answer.err


def test_what_no_net_can_be_trained_on_is_not_packed(
    rescli: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "val/class0", photos / "val/zebra")
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    assert answer.code == 3
    assert "val has 1 class that train lacks: zebra" in answer.err
    exclude = ("--set", 'data.dataset.exclude=["zebra"]')
    assert (
        rescli(
            "data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed", *exclude
        ).code
        == 0
    )
    assert packed_counts(tmp_path / "packed")[0] == ("class0", "class1")
    refused = rescli(
        "train", "--dataset", "imagefolder", "--depth", 18, "--data-root", tmp_path / "packed", *exclude
    )
    assert refused.code == 2
    assert "holds packed images" in refused.err


@pytest.fixture
def damaged(photos: Path) -> Path:
    """Five that are known by their beginnings or ends, and one that only a decoding tells."""
    for name in ("train/class0/2.jpg", "train/class1/1.jpg", "train/class1/3.jpg", "train/class1/5.jpg"):
        (photos / name).write_bytes((photos / name).read_bytes()[:-40])
    (photos / "val/class1/1.jpg").write_bytes(b"<html>404</html>")
    return photos


def test_all_that_is_known_to_be_damaged_is_named_before_anything_is_written(
    rescli: Rescli, damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ("data", "pack", "imagefolder", "--data-root", damaged, "--out", tmp_path / "packed")
    with monkeypatch.context() as patched:
        patched.setattr("rescli.data.photos.packed.write_packed_split", None)
        refused = rescli(*typed)
    assert refused.code == 3
    assert "4 of the 8 train images cannot be read" in refused.err
    assert "; and 1 more" in refused.err
    assert "\n  --skip-damaged" in refused.err
    assert f"rescli data tidy --data-root {damaged} --out" in refused.err
    assert os.listdir(tmp_path) == ["photos"]
    made = rescli(*typed, "--skip-damaged")
    assert made.code == 0
    assert "left out: 5 images that cannot be decoded: train class0/2.jpg" in made.err
    assert packed_counts(tmp_path / "packed") == (("class0", "class1"), {"train": 4, "val": 3})
    packed = read_folder(tmp_path / "packed", ("train",))["train"]
    assert packed.file_names == ("class0/0.png", "class0/4.jpg", "class0/6.jpg", "class1/7.jpg")
    assert packed.labels_N.tolist() == [0, 0, 0, 1]
    for index in range(4):
        packed.image(index)


def test_a_rotten_image_met_on_the_way_leaves_nothing_and_says_how_to_go_on(
    rescli: Rescli, photos: Path, tmp_path: Path
) -> None:
    rot(photos / "val/class0/2.png")
    typed = ("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    refused = rescli(*typed)
    assert refused.code == 3
    assert "val/class0/2.png cannot be decoded" in refused.err
    assert "--skip-damaged" in refused.err
    assert os.listdir(tmp_path) == ["photos"]
    assert rescli(*typed, "--skip-damaged").code == 0


def test_a_split_without_one_whole_image_is_refused(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    for path in (photos / "val").rglob("*.*"):
        path.write_bytes(b"\xff\xd8\xff")
    typed = ("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    refused = rescli(*typed, "--skip-damaged")
    assert refused.code == 3
    assert "none of the 4 val images can be decoded" in refused.err
    assert os.listdir(tmp_path) == ["photos"]


def test_a_class_without_one_whole_training_image_is_refused_or_excluded(
    rescli: Rescli, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "train/class1", photos / "train/class2")
    shutil.copytree(photos / "val/class1", photos / "val/class2")
    for path in (photos / "train/class2").iterdir():
        path.write_bytes(b"\xff\xd8\xff")
    typed = ("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    refused = rescli(*typed, "--skip-damaged")
    assert refused.code == 3
    assert "no training image of class2 can be decoded" in refused.err
    (way,) = [line for line in refused.err.splitlines() if "exclude" in line]
    assert os.listdir(tmp_path) == ["photos"]
    assert rescli(*typed, *shlex.split(way.partition("try ")[2].partition(" (")[0])).code == 0
    assert packed_counts(tmp_path / "packed")[0] == ("class0", "class1")


def test_the_next_command_trains_on_it(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    typed = ("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "the pack")
    answer = rescli(*typed, "--orientation", "upright", "--set", "data.dataset.image_size=64")
    command = answer.err.splitlines()[-1].removeprefix("train on it: rescli ")
    assert rescli(*shlex.split(command), "--dry-run").code == 0
    assert "the pack" in command


def test_names_with_line_ends(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    os.rename(photos / "val/class0/2.jpg", photos / "val/class0/two\nlines.jpg")
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    assert "class0/two\nlines.jpg" in read_folder(packed, ("val",))["val"].file_names


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_nothing(
    rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = packed_module.write_packed_split

    def interrupted(*args: Any, **kwargs: Any) -> int:
        written = write(*args, **kwargs)
        signal.raise_signal(number)
        return written

    monkeypatch.setattr(packed_module, "write_packed_split", interrupted)
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    assert answer.code == 130
    assert os.listdir(tmp_path) == ["photos"]


@pytest.fixture
def packed(rescli: Rescli, photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", folder).code == 0
    return folder


TINY = (
    *("--dataset", "imagefolder", "--depth", 18, "--set", "model.width=4", "--iterations", 2),
    *("--batch-size", 4, "--device", "cpu", "--workers", 0),
)


def flip(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def without_sums(folder: Path) -> None:
    """As an earlier rescli packed: the table without crc32, nothing with a hash of its own."""
    for split in ("train", "val"):
        table = folder / f"{split}.safetensors"
        with safe_open(table, "pt") as file:
            kept = {name: file.get_tensor(name) for name in ("starts", "lengths", "labels", "names")}
            texts = {key: text for key, text in file.metadata().items() if key != "content_sha256"}
        save_file(kept, table, texts)
    index = json.loads((folder / "packed.json").read_text())
    del index["content_sha256"]
    (folder / "packed.json").write_text(json.dumps(index))


@pytest.mark.parametrize("place", range(0, 1200, 117))
def test_a_flipped_bit_in_the_images_is_seen_by_all_who_read_them(
    rescli: Rescli, packed: Path, tmp_path: Path, place: int
) -> None:
    for split in ("train", "val"):
        flip(packed / f"{split}.images", place, place % 8)
    trained = rescli("train", *TINY, "--data-root", packed, "--out", tmp_path / "run")
    assert trained.code == 3, trained.err
    assert "are not those that were packed" in trained.err
    verified = rescli("data", "verify", "imagefolder", "--data-root", packed)
    assert verified.code == 3, verified.err
    assert "train.images is damaged: it is not what was packed" in verified.out


def test_packs_of_earlier_versions_are_read_and_their_damage_is_verified(
    rescli: Rescli, packed: Path, tmp_path: Path
) -> None:
    new = read_folder(packed, ("train",))["train"]
    without_sums(packed)
    old = read_folder(packed, ("train",))["train"]
    assert (old.fingerprint, old.file_names) == (new.fingerprint, new.file_names)
    assert rescli("train", *TINY, "--data-root", packed, "--out", tmp_path / "run").code == 0
    assert rescli("data", "verify", "imagefolder", "--data-root", packed).code == 0
    flip(packed / "train.images", 700)
    verified = rescli("data", "verify", "imagefolder", "--data-root", packed)
    assert verified.code == 3, verified.err
    assert "train.images is damaged: it is not what was packed" in verified.out


def test_a_flipped_bit_in_index_or_table_is_seen(rescli: Rescli, packed: Path) -> None:
    for file in ("packed.json", "train.safetensors"):
        whole = (packed / file).read_bytes()
        for place in range(0, len(whole), 1 + len(whole) // 25):
            flip(packed / file, place)
            answer = rescli("train", *TINY, "--data-root", packed, "--dry-run")
            assert answer.code == 3, (file, place, answer.err)
            (packed / file).write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"class_names": ["a", 3]}, "class_names[1] is 3; allowed: a text"),
        ({"class_names": 7}, "class_names is 7; allowed: a list"),
        ({"splits": {"train": -1}}, "splits.train is -1; allowed: 0 or more"),
        ({"splits": {"../train": 8}}, "the name of a file beside it"),
        ({"splits": []}, "splits is a list of 0; allowed: an object"),
        ({"format": "1"}, "format is '1'; allowed: a whole number"),
        ({"content_sha256": None}, "content_sha256 is null; allowed: a text"),
    ],
)
def test_an_index_of_other_types_is_exit_3(
    rescli: Rescli, packed: Path, change: dict[str, object], field: str
) -> None:
    index = json.loads((packed / "packed.json").read_text())
    (packed / "packed.json").write_text(json.dumps({**index, **change}))
    for command in (("train", *TINY, "--dry-run"), ("data", "verify", "imagefolder")):
        answer = rescli(*command, "--data-root", packed)
        assert answer.code == 3, answer.err
        assert "packed.json is damaged: " in answer.err
        assert field in answer.err
