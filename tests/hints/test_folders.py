"""What is suggested for folders of photographs, as they are laid out and as their images are."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photographs import picture, put_pictures, rot
from PIL import Image

from rescli.data.specs import ImageNetSpec

Heed = Callable[..., Any]

TRAIN = (
    "train imagefolder/32 --data-root photos --set model.depth=8 --set model.width=4 --iterations 2 "
    "--batch-size 4 --device cpu --precision fp32 --workers 0 --threads 1"
)
PLAN = f"{TRAIN} --dry-run"
CLASSES = "data/folders/rules/classes.py"
IMAGES = "data/folders/rules/images.py"
SPLITS = "data/folders/rules/splits.py"
REFUSALS = "data/folders/refusals.py"


def fill(*folders: str, count: int = 3) -> list[str]:
    """Names of images, each its own."""
    return [
        f"{folder}/{place}{number}.jpg" for place, folder in enumerate(folders) for number in range(count)
    ]


LAYOUTS: dict[str, tuple[list[str], int, list[str], dict[str, Any]]] = {
    "a folder around the classes": (
        fill("all/cat", "all/dog"),
        3,
        [f"{CLASSES} data_root"],
        {},
    ),
    "a folder around the classes of train": (
        fill("train/all/cat", "train/all/dog", "val/cat", "val/dog"),
        3,
        [f"{CLASSES} data.dataset.train_folder"],
        {},
    ),
    "a class of leftovers": (
        fill("train/BACKGROUND_Google", "train/cat", "train/dog", "val/cat", "val/dog"),
        0,
        [f"{CLASSES} data.dataset.exclude"],
        {},
    ),
    "a class of val alone": (
        fill("train/cat", "train/dog", "val/cat", "val/dog", "val/emu"),
        3,
        [f"{CLASSES} data.dataset.exclude"],
        {},
    ),
    "a split of a name that nobody knows": (
        fill("train/cat", "train/dog", "kept/cat", "kept/dog"),
        3,
        [f"{SPLITS} data.dataset.val_folder", f"{SPLITS} data.dataset.exclude"],
        {},
    ),
    "classes with the same folders in each": (
        fill("cat/left", "cat/right", "dog/left", "dog/right"),
        3,
        [f"{SPLITS} data.dataset.train_folder"],
        {},
    ),
    "classes beside a val": (
        fill("cat", "dog", "val/cat", "val/dog"),
        3,
        [f"{CLASSES} data.dataset.train_folder", f"{CLASSES} data.dataset.exclude"],
        {},
    ),
    "a val in train": (
        fill("train/cat", "train/dog", "train/val/cat", "train/val/dog"),
        3,
        [f"{SPLITS} data.dataset.val_folder", f"{SPLITS} data.dataset.exclude"],
        {},
    ),
    "a val in train and one beside it": (
        fill("train/cat", "train/dog", "train/val/cat", "train/val/dog", "val/cat", "val/dog"),
        3,
        [f"{SPLITS} data.dataset.exclude"],
        {},
    ),
    "splits like train and test": (
        fill("seg_train/cat", "seg_train/dog", "seg_test/cat", "seg_test/dog"),
        3,
        [f"{SPLITS} data.dataset.train_folder", f"{SPLITS} data.dataset.test_folder"],
        {"both": True},
    ),
    "a split like test beside train": (
        fill("train/cat", "train/dog", "tst/cat", "tst/dog"),
        3,
        [f"{SPLITS} data.dataset.test_folder", f"{SPLITS} data.dataset.exclude"],
        {},
    ),
    "two folds": (
        fill("fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"),
        3,
        [f"{SPLITS} data.dataset.train_folder", f"{SPLITS} data.dataset.val_folder"],
        {"both": True},
    ),
    "two folders for train": (
        fill("train/cat", "train/dog", "training/cat", "training/dog", "val/cat", "val/dog"),
        3,
        [f"{REFUSALS} data.dataset.train_folder"],
        {},
    ),
    "two folders for val": (
        fill("train/cat", "train/dog", "val/cat", "val/dog", "valid/cat", "valid/dog"),
        3,
        [f"{REFUSALS} data.dataset.val_folder"],
        {},
    ),
    "two folders for test": (
        fill("train/cat", "train/dog", "val/cat", "val/dog", "test/cat", "test/dog", "Test/cat", "Test/dog"),
        3,
        [f"{REFUSALS} data.dataset.test_folder"],
        {},
    ),
    "flat images": (
        [f"{name}_{number}.jpg" for name in ("cat", "dog") for number in range(3)],
        3,
        [f"{REFUSALS} data.dataset.labels"],
        {"FILE": "../tables/labels.csv"},
    ),
    "flat images in val": (
        [*fill("train/cat", "train/dog"), *(f"val/{name}_{n}.jpg" for name in ("cat", "dog") for n in "12")],
        3,
        [f"{REFUSALS} data.dataset.labels"],
        {"FILE": "../tables/labels.csv"},
    ),
    "a split without classes": (
        fill("cat", "dog", "val"),
        3,
        [f"{REFUSALS} data.dataset.exclude"],
        {},
    ),
    "splits without classes": (
        [f"{split}/{name}_{n}.jpg" for split in ("train", "val") for name in ("cat", "dog") for n in split],
        3,
        [f"{REFUSALS} data.dataset.labels"],
        {"FILE": "../tables/labels.csv"},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_of_a_layout(heed: Heed, place: Path, layout: str) -> None:
    names, code, reaches, options = LAYOUTS[layout]
    put_pictures(place / "photos", *names)
    rows = [f"{name},{'dog' if 'dog' in name else 'cat'}" for name in names]
    (place / "tables").mkdir()
    (place / "tables/labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    heed(PLAN, code, reaches=reaches, **options)


def test_of_parts_of_a_download_and_a_table(heed: Heed, place: Path) -> None:
    put_pictures(place / "photos", *(f"part_{number % 2}/{number}.jpg" for number in range(6)))
    rows = [f"{number},{('cat', 'dog')[number % 3 % 2]},x" for number in range(6)]
    (place / "photos/meta.csv").write_text("\n".join(["id,label,sex", *rows]) + "\n")
    heed(PLAN, 3, reaches=[f"{SPLITS} data.dataset.labels"])


def test_of_a_test_class_that_train_lacks(heed: Heed, photos: Path, rescli: Callable[..., Any]) -> None:
    put_pictures(photos, "test/cat/1.jpg", "test/zebra/1.jpg")
    assert rescli(*TRAIN.split(), "--out", "run").code == 0
    heed("eval run --split test --device cpu", 3, reaches=["data/folders/read.py tidy"])


def test_of_a_train_beside_its_val(heed: Heed, place: Path) -> None:
    put_pictures(place / "photos", *fill("train/cat", "train/dog", count=9), *fill("val/cat", "val/dog"))
    heed(PLAN.replace("photos", "photos/train"), 0, reaches=[f"{SPLITS} data_root"])


def test_of_a_table_with_several_columns(heed: Heed, place: Path) -> None:
    put_pictures(place / "photos", *(f"{number}.jpg" for number in range(6)))
    rows = [f"{number}.jpg,{number % 2},{number % 3}" for number in range(6)]
    (place / "photos/labels.csv").write_text("\n".join(["file,animal,place", *rows]) + "\n")
    heed(PLAN, 3, reaches=["data/folders/labels.py data.dataset.labels"], COLUMN="animal")


def test_of_small_images(heed: Heed, photos: Path) -> None:
    typed = PLAN.replace("/32", "/base").replace("--set model.depth=8", "")
    heed(typed, 0, reaches=[f"{IMAGES} data.dataset.image_size"])


def test_of_turned_images(heed: Heed, photos: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(1).save(photos / "train/dog/turned.jpg", exif=turned)
    heed(PLAN, 0, reaches=[f"{IMAGES} data.dataset.orientation"])


def cut(path: Path) -> None:
    """As of a broken download."""
    path.write_bytes(path.read_bytes()[:-50])


def test_of_damaged_images_before_training(heed: Heed, photos: Path) -> None:
    (photos / "train/cat/cat0.jpg").write_bytes(b"\xff\xd8\xff")
    # To verify it says what is damaged, and is not content.
    found = {"data verify": 3}
    heed(PLAN, 3, reaches=[f"{IMAGES} verify_data", f"{IMAGES} data.skip_damaged"], ends=found)


def test_of_damaged_images_as_training_begins(heed: Heed, photos: Path) -> None:
    cut(photos / "val/cat/cat0.jpg")
    heed(TRAIN, 3, reaches=["data/photos/probe.py data.skip_damaged"])


def test_of_damaged_images_as_their_statistics_are_measured(heed: Heed, photos: Path) -> None:
    rot(photos / "train/cat/0.png")
    heed(TRAIN, 3, reaches=["runs/loading.py data.skip_damaged"])


def test_of_an_unnamed_folder(heed: Heed, photos: Path) -> None:
    unnamed = PLAN.replace("--data-root photos", "")
    heed(unnamed, 3, reaches=["spec/data_root.py data_root"], DIR="photos")


def test_of_a_recipe_without_weights(heed: Heed, photos: Path, imagenet18: Path) -> None:
    typed = "train imagefolder/finetune --data-root photos --dry-run"
    heed(typed, 2, reaches=["spec/load.py start_from"], CKPT=imagenet18)


@pytest.fixture
def imagenet(place: Path, ilsvrc: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ImageNet as it would be with three classes: its archives, and their folders."""
    sizes = {"train": len(ilsvrc.train), "val": len(ilsvrc.val)}
    monkeypatch.setattr(ImageNetSpec, "class_names", ilsvrc.class_names)
    monkeypatch.setattr(ImageNetSpec, "sizes", sizes)
    monkeypatch.setattr(os, "sync", lambda: None)
    shutil.copytree(ilsvrc.folder, place / "archives")
    folders = [f"{split}/{wnid}" for split in ("train", "val") for wnid in ilsvrc.class_names]
    return put_pictures(place / "imagenet", *fill(*folders))


def test_of_no_imagenet(heed: Heed, photos: Path, imagenet: Path, checkpoint_of: Any) -> None:
    checkpoint_of("resnet-18", dataset=ImageNetSpec(), normalization="per-channel", width=4).write(
        photos.with_name("net.safetensors")
    )
    typed = "eval net.safetensors --data-root archives --device cpu"
    reaches = ["data/imagenet/images.py prepare_imagenet", "data/imagenet/images.py data_root"]
    words = {"DIR": {"prepare": "archives", "--data-root": "imagenet"}}
    heed(typed, 3, reaches=reaches, **words)
    flat = imagenet.with_name("flat")
    put_pictures(flat, "val/ILSVRC2012_val_00000001.JPEG")
    shutil.copy(imagenet.with_name("archives") / "ILSVRC2012_devkit_t12.tar.gz", flat.with_name("devkit"))
    heed(typed.replace("archives", "flat"), 3, reaches=reaches[:1], **words)


def test_of_a_small_disk(heed: Heed, imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage

    def small(path: Path) -> Any:
        monkeypatch.setattr(shutil, "disk_usage", usage)
        return usage(path)._replace(free=0)

    monkeypatch.setattr(shutil, "disk_usage", small)
    reaches = ["workflows/data/prepare_imagenet.py out"]
    heed("data prepare imagenet --from archives --out made", 2, reaches=reaches, DIR="other")


@pytest.mark.realdata
def test_of_cifar_that_is_incomplete(heed: Heed, place: Path, cifar_root: Path) -> None:
    (place / "data/cifar-10-batches-py").mkdir(parents=True)
    typed = (
        "train cifar10/resnet-20 --data-root data --set model.width=4 --depth 8 --iterations 1 --device cpu"
    )
    heed(typed, 3, reaches=["data/cifar/official_files.py data_root"], DIR=cifar_root)


PACKING = "data pack imagefolder --data-root photos --out packed"
PACK = "workflows/data/pack.py"


@pytest.mark.parametrize(
    ("damage", "name"), [(cut, "cat0.jpg"), (rot, "0.png")], ids=["known by its end", "met on the way"]
)
def test_of_damaged_images_to_pack(
    heed: Heed, photos: Path, damage: Callable[[Path], None], name: str
) -> None:
    damage(photos / "train/cat" / name)
    found = {"data verify": 3}
    heed(PACKING, 3, reaches=[f"{PACK} skip_damaged", f"{PACK} tidy"], ends=found)


def test_of_a_class_of_damaged_images_to_pack(heed: Heed, photos: Path) -> None:
    put_pictures(photos, *fill("train/emu", "val/emu"))
    for path in (photos / "train/emu").iterdir():
        path.write_bytes(b"\xff\xd8\xff")
    heed(f"{PACKING} --skip-damaged", 3, reaches=[f"{PACK} data.dataset.exclude"], ends={"data verify": 3})


def test_of_a_table_that_names_images_of_two_splits(heed: Heed, place: Path) -> None:
    put_pictures(place / "photos", *(f"{split}/{n}.jpg" for split in ("train", "valid") for n in range(6)))
    rows = [f"{number}.jpg,{'ab'[number % 2]}" for number in range(6)]
    (place / "photos/labels.csv").write_text("\n".join(["file,label", *rows]))
    heed(PLAN, 3, reaches=["data/folders/refusals.py data.dataset.exclude"])


@pytest.mark.parametrize(
    "typed", [PACKING, f"{PACKING} --orientation upright", "data tidy --data-root photos --out packed"]
)
def test_of_what_is_made_of_a_folder(heed: Heed, photos: Path, typed: str) -> None:
    heed(typed, 0, behind="--dry-run")


FOLDS = fill(*(f"fold{number}/{name}" for number in range(1, 4) for name in ("cat", "dog")))
TIDIED: dict[str, tuple[list[str], str, dict[str, Any]]] = {
    "folds": (FOLDS, f"{SPLITS} data.dataset.train_folder", {"both": True}),
    "a folder around the classes": (fill("all/cat", "all/dog"), f"{CLASSES} data_root", {}),
    "a split's name among the classes": (
        fill("cat", "dog", "validation/x"),
        f"{CLASSES} data.dataset.exclude",
        {},
    ),
}


@pytest.mark.parametrize("layout", TIDIED)
def test_of_what_cannot_be_tidied_as_it_is(heed: Heed, place: Path, layout: str) -> None:
    names, reached, options = TIDIED[layout]
    put_pictures(place / "photos", *names)
    heed("data tidy --data-root photos --out sound", 3, reaches=[reached], **options)


def test_of_odd_images_to_verify(heed: Heed, photos: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(1).save(photos / "train/dog/turned.jpg", exif=turned)
    heed("data verify imagefolder --data-root photos", 0, reaches=[f"{IMAGES} data.dataset.orientation"])


def test_verifying_suggests_nothing_that_is_of_training(photos: Path, rescli: Callable[..., Any]) -> None:
    (photos / "train/cat/cat0.jpg").write_bytes(b"\xff\xd8\xff")
    said = rescli("data", "verify", "imagefolder", "--data-root", photos).out
    assert "1 image cannot be opened: cat/cat0.jpg" in said
    assert "skip" not in said
    assert "rescli data verify" not in said


def test_of_a_class_on_a_disk_that_is_not_mounted(heed: Heed, place: Path, photos: Path) -> None:
    (photos / "train/emu").symlink_to(place / "unplugged")
    heed(PLAN, 3, reaches=["data/folders/rules/left_out.py data.dataset.exclude"])


def test_of_some_classes_of_imagenet_to_train_on(heed: Heed, place: Path) -> None:
    wnids = ("n01440764", "n01443537")
    put_pictures(
        place / "photos", *fill(*(f"{split}/{wnid}" for split in ("train", "val") for wnid in wnids))
    )
    typed = "train imagenet/resnet-50 --data-root photos --device cpu --dry-run"
    heed(typed, 3, reaches=["data/folders/read.py dataset"])
