"""The specs of rescli's own image sets. Torch is imported in ``build``, not before."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rescli.spec.base import DatasetSpec
from rescli.spec.data_root import given_root
from rescli.spec.photos import PhotoSetSpec
from rescli.spec.units import Images

if TYPE_CHECKING:
    from rescli.data.cifar.images import CifarFiles
    from rescli.data.image_set import ImageSet
    from rescli.data.photos.image_files import ImageFiles

__all__ = ["Cifar10Spec", "Cifar100Spec", "ImageNetSpec", "ShapesSpec"]

_WNIDS = Path(__file__).with_name("imagenet") / "wnids.txt"

_CIFAR_TRAIN_IMAGES, _CIFAR_TEST_IMAGES = 50_000, 10_000


class _CifarSpec(DatasetSpec):
    image_size: ClassVar = 32
    val_size: Images = Field(
        default=5000,
        ge=0,
        lt=_CIFAR_TRAIN_IMAGES,
        description="Images held out of the 50000 training images for validation; 0 trains on all.",
    )
    split_seed: int = Field(default=0, ge=0, description="Seed of the choice of the held-out images.")

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

    def would_download(self, data_root: Path | None) -> bool:
        from rescli.data.cifar.official_files import would_download

        return would_download(self._files().files, data_root)

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
    data_seed: int = Field(default=0, ge=0, description="Seed of the drawings.")
    num_train: Images = Field(default=10_000, ge=1, le=10**6, description="Training images.")
    num_val: Images = Field(default=1000, ge=1, le=10**6, description="Validation images.")
    num_test: Images = Field(default=2000, ge=1, le=10**6, description="Test images.")

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.shapes.blocks import SHAPE_CLASSES

        return SHAPE_CLASSES

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def check_available(self, data_root: Path | None) -> None:
        """Nothing can be missing: the images are drawn."""

    def begin_building(self) -> None:
        from rescli.data.shapes.ahead import begin_painting

        begin_painting(self.data_seed, (("train", self.num_train), ("val", self.num_val)))

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.shapes.images import make_shapes

        return make_shapes(
            seed=self.data_seed,
            num_train=self.num_train,
            num_val=self.num_val,
            num_test=self.num_test,
            splits=splits,
        )


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

        find_imagenet(given_root(data_root), ("train", "val"))

    @property
    def is_known(self) -> bool:
        return True

    def read(
        self, data_root: Path | None, splits: tuple[str, ...], *, hashed: bool = True
    ) -> dict[str, ImageFiles]:
        from rescli.data.imagenet.images import read_imagenet

        return read_imagenet(given_root(data_root), splits, self.class_names, hashed=hashed)


@cache
def _imagenet_wnids() -> tuple[str, ...]:
    return tuple(_WNIDS.read_text(encoding="ascii").split())
