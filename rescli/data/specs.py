"""The specs of rescli's own image sets. Torch is imported in ``build``, not before."""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rescli.errors import DataError, SpecError
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec
from rescli.spec.photos import PhotoSetSpec

if TYPE_CHECKING:
    from rescli.data.cifar.images import CifarFiles
    from rescli.data.image_set import ImageSet
    from rescli.data.photos.image_files import ImageFiles

__all__ = ["Cifar10Spec", "Cifar100Spec", "ImageFolderSpec", "ImageNetSpec", "ShapesSpec"]

_WNIDS = Path(__file__).with_name("imagenet") / "wnids.txt"

_CIFAR_TRAIN_IMAGES, _CIFAR_TEST_IMAGES = 50_000, 10_000


class _CifarSpec(DatasetSpec):
    image_size: ClassVar = 32
    val_size: int = Field(
        default=5000,
        ge=0,
        lt=_CIFAR_TRAIN_IMAGES,
        description="images held out of the 50000 training images for validation; 5000 as in the paper "
        "(section 4.2); 0 trains on all",
    )
    split_seed: int = Field(default=0, ge=0, description="seed of the choice of the held-out images")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def sizes(self) -> dict[str, int]:
        return {
            "train": _CIFAR_TRAIN_IMAGES - self.val_size,
            "val": self.val_size,
            "test": _CIFAR_TEST_IMAGES,
        }

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.cifar.images import read_cifar

        return read_cifar(
            self._files(), data_root, splits, val_size=self.val_size, split_seed=self.split_seed
        )

    @abstractmethod
    def _files(self) -> CifarFiles: ...


class Cifar10Spec(_CifarSpec):
    """CIFAR-10 (Krizhevsky 2009): 60000 colour photographs of 32x32 pixels in 10 classes."""

    kind: Literal["cifar10"] = "cifar10"

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.cifar.classes import CIFAR10_CLASSES

        return CIFAR10_CLASSES

    def _files(self) -> CifarFiles:
        from rescli.data.cifar.images import CIFAR10

        return CIFAR10


class Cifar100Spec(_CifarSpec):
    """CIFAR-100 (Krizhevsky 2009): 60000 colour photographs of 32x32 pixels in 100 fine classes."""

    kind: Literal["cifar100"] = "cifar100"

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.cifar.classes import CIFAR100_CLASSES

        return CIFAR100_CLASSES

    def _files(self) -> CifarFiles:
        from rescli.data.cifar.images import CIFAR100

        return CIFAR100


class ShapesSpec(DatasetSpec):
    """Drawn shapes of 32x32 pixels in 10 classes, made on the spot: no file, no download."""

    kind: Literal["shapes"] = "shapes"
    image_size: ClassVar = 32
    num_classes: ClassVar = 10
    data_seed: int = Field(default=0, ge=0, description="seed of the drawings")
    num_train: int = Field(default=10_000, ge=1, le=10**6, description="training images")
    num_val: int = Field(default=1000, ge=1, le=10**6, description="validation images")
    num_test: int = Field(default=2000, ge=1, le=10**6, description="test images")

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.shapes.images import SHAPE_CLASSES

        return SHAPE_CLASSES

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def check_available(self, data_root: Path | None) -> None:
        """Nothing can be missing: the images are drawn."""

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.shapes.images import make_shapes

        return make_shapes(
            seed=self.data_seed,
            num_train=self.num_train,
            num_val=self.num_val,
            num_test=self.num_test,
            splits=splits,
        )


class ImageFolderSpec(PhotoSetSpec):
    """Any folder of class folders: ROOT/train/CLASS/*.jpg and ROOT/val/CLASS/*.jpg, or ROOT/CLASS/*.jpg.

    Where a folder has no val, some of its training images are held out. What the folder holds is filled in by
    ``resolved`` before a training, so that the spec says it all.
    """

    kind: Literal["imagefolder"] = "imagefolder"
    val_size: int | None = Field(
        default=None, ge=0, description="images held out where the folder has no val; unset: a tenth"
    )
    split_seed: int = Field(default=0, ge=0, description="seed of the choice of the held-out images")
    classes: tuple[str, ...] | None = Field(
        default=None, description="names of the class folders, sorted; filled in from the folder"
    )
    num_train: int | None = Field(default=None, ge=0, description="training images; filled in")
    num_val: int | None = Field(default=None, ge=0, description="validation images; filled in")
    held_out: bool | None = Field(
        default=None, description="whether the validation images are held out of the others; filled in"
    )

    @property
    def num_classes(self) -> int:
        if self.classes is None:
            raise SpecError(
                "the classes of an imagefolder stand in its folders.", remedy=Remedy("data_root", "DIR")
            )
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self.classes

    @property
    def sizes(self) -> dict[str, int]:
        if self.num_train is None or self.num_val is None:
            counted_by = Remedy("verify_data", "imagefolder")
            raise SpecError(f"the images of an imagefolder are counted by: {counted_by}", given=counted_by)
        return {"train": self.num_train, "val": self.num_val, "test": 0}

    def resolved(self, data_root: Path | None) -> ImageFolderSpec:
        from rescli.data.photos.folder import ALL, count_folder

        classes, counts = count_folder(_root(data_root))
        if "train" not in counts and ALL not in counts:
            raise DataError(f"{_root(data_root)} has no training images: {', '.join(counts)} only.")
        held_out = "val" not in counts
        whole = counts.get("train", counts.get(ALL, 0))
        val = (self.val_size if self.val_size is not None else whole // 10) if held_out else counts["val"]
        if held_out and val >= whole:
            raise SpecError(f"data.dataset.val_size: {val} of {whole} images leave none to train on.")
        num_train = whole - val if held_out else whole
        filled = {"classes": classes, "num_train": num_train, "num_val": val, "held_out": held_out}
        return self.model_copy(update=filled)

    def check_available(self, data_root: Path | None) -> None:
        self.splits(data_root)

    def splits(self, data_root: Path | None) -> tuple[str, ...]:
        from rescli.data.photos.folder import folder_splits

        there = folder_splits(_root(data_root))
        if not self.held_out:
            return there
        return ("train", *(("val",) if self.num_val else ()), *(("test",) if "test" in there else ()))

    def read(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageFiles]:
        from rescli.data.photos.folder import ALL, folder_splits, read_folder

        root = _root(data_root)
        if not self.held_out:
            there = folder_splits(root)
            wanted = tuple(split for split in splits if split in there) if self.classes else splits
            return read_folder(root, wanted, class_names=self.classes)
        from rescli.data.split import train_val_split

        whole_name = "train" if "train" in folder_splits(root) else ALL
        whole = read_folder(root, (whole_name,), class_names=self.classes)[whole_name]
        if len(whole) != (self.num_train or 0) + (self.num_val or 0):
            raise DataError(
                f"{root} has {len(whole)} images where {(self.num_train or 0) + (self.num_val or 0)} were "
                "counted when the run began."
            )
        train, val = train_val_split(len(whole), val_size=self.num_val or 0, seed=self.split_seed)
        parts = {"train": train, "val": val}
        found = {split: whole.subset(parts[split]) for split in splits if split in parts}
        if "test" in splits:
            found |= read_folder(root, ("test",), class_names=self.classes)
        return found


class ImageNetSpec(PhotoSetSpec):
    """ImageNet 2012 (Russakovsky et al. 2015), 1000 classes: ROOT/train/WNID/*.JPEG, ROOT/val/WNID/*.JPEG.

    val may also be the 50000 files as published, with the devkit's or a CSV's labels.
    """

    kind: Literal["imagenet"] = "imagenet"
    num_classes: ClassVar = 1000

    @property
    def class_names(self) -> tuple[str, ...]:
        """The WordNet ids in sorted order, which is the order of the classes in every published net."""
        return _imagenet_wnids()

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": 1_281_167, "val": 50_000}

    def check_available(self, data_root: Path | None) -> None:
        from rescli.data.imagenet.images import find_imagenet

        find_imagenet(_root(data_root), ("train", "val"))

    def read(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageFiles]:
        from rescli.data.imagenet.images import read_imagenet

        return read_imagenet(_root(data_root), splits, self.class_names)


@cache
def _imagenet_wnids() -> tuple[str, ...]:
    return tuple(_WNIDS.read_text(encoding="ascii").split())


def _root(data_root: Path | None) -> Path:
    given = data_root or os.environ.get("RESCLI_DATA")
    if not given:
        raise DataError(
            "nobody said where the images are.",
            remedy=Remedy("data_root", "DIR", "or RESCLI_DATA=DIR"),
        )
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise DataError(f"{given} cannot be found: {error}") from error
