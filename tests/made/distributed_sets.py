"""Sets of photographs as they are distributed, each as a small one of the same shape."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from rescli.data.specs import ImageNetSpec


def put(root: Path, *names: str, size: int = 36) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(sum(name.encode())).integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(path, "JPEG")


def tiny_imagenet(root: Path) -> None:
    for wnid in ("n01443537", "n01629819"):
        put(root, *(f"train/{wnid}/images/{wnid}_{number}.JPEG" for number in range(4)), size=64)
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
    put(root, *(f"val/images/val_{number}.JPEG" for number in range(4)), "test/images/test_0.JPEG", size=64)
    lines = (
        f"val_{number}.JPEG\t{('n01443537', 'n01629819')[number % 2]}\t0\t32\t44\t62" for number in range(4)
    )
    (root / "val/val_annotations.txt").write_text("\n".join(lines))
    (root / "wnids.txt").write_text("n01443537\nn01629819\n")


def imagenette(root: Path) -> None:
    names = [f"{wnid}/{wnid}_{number}.JPEG" for wnid in ("n01440764", "n02102040") for number in range(3)]
    put(root, *(f"{split}/{name}" for split in ("train", "val") for name in names))
    put(root, ".DS_Store.jpg")
    (root / "noisy_imagenette.csv").write_text(
        "path,noisy_labels_0,noisy_labels_1,is_valid\n"
        + "".join(f"train/{name},n01440764,n02102040,False\n" for name in names)
    )


def oxford_pets(root: Path) -> None:
    put(
        root,
        *(f"{breed}_{number}.jpg" for breed in ("Abyssinian", "great_pyrenees") for number in range(1, 12)),
    )
    (root / "Abyssinian_100.mat").touch()
    (root.parent / "annotations").mkdir()
    (root.parent / "annotations/trainval.txt").write_text("Abyssinian_1 1 1 1\n")


def roboflow(root: Path) -> None:
    for split in ("train", "valid", "test"):
        put(root, *(f"{split}/{name}/IMG_2289_jpg.rf.{n}.jpg" for name in ("fish", "ray") for n in range(4)))
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        (root / name).write_text("Aquarium > 2023")


def kaggle(root: Path) -> None:
    stems = [f"{number:032x}" for number in range(12)]
    put(root, *(f"train/{stem}.jpg" for stem in stems), "test/00a3.jpg", "test/00a4.jpg")
    rows = "".join(f"{stem},{('beagle', 'pug')[number % 2]}\n" for number, stem in enumerate(stems))
    (root / "labels.csv").write_text(f"id,breed\n{rows}")
    (root / "sample_submission.csv").write_text("id,beagle,pug\n00a3,0.5,0.5\n00a4,0.5,0.5\n")


def caltech_101(root: Path) -> None:
    classes = ("BACKGROUND_Google", "Faces", "Faces_easy", "accordion")
    put(root, *(f"{name}/image_{number:04d}.jpg" for name in classes for number in range(1, 9)))
    (root / "BACKGROUND_Google/tmp").touch()


def imagenet(root: Path) -> None:
    wnids = ImageNetSpec().class_names
    put(root, "one.jpg")
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
        os.link(root / "one.jpg", root / f"train/{wnid}/{wnid}_1.JPEG")
    put(root, *(f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 5)))
    (root / "one.jpg").unlink()
    rows = "".join(f"ILSVRC2012_val_{number:08d},{wnids[number]} 1 2 3 4\n" for number in range(1, 5))
    (root / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{rows}")


SETS: dict[str, tuple[Callable[[Path], None], int, int, str]] = {
    "tiny-imagenet-200": (tiny_imagenet, 2, 4, "val is labelled by"),
    "imagenette2-160": (imagenette, 2, 6, "val    6 images"),
    "oxford-iiit-pet/images": (oxford_pets, 2, 2, "all is labelled by the beginnings of the files' names"),
    "Aquarium.v2i.folder": (roboflow, 2, 8, "val is the folder valid"),
    "dog-breed-identification": (kaggle, 2, 1, "train is labelled by "),
    "101_ObjectCategories": (caltech_101, 3, 2, "as asked: BACKGROUND_Google"),
    "ILSVRC2012": (imagenet, 1000, 4, ""),
}
"""Data root to what builds it, its classes, its validation images, and words that the survey says."""
