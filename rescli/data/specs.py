"""The specs of rescli's own image sets. Torch is imported in ``build``, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from rescli.spec.base import DatasetSpec

if TYPE_CHECKING:
    from pathlib import Path

    from rescli.data.image_set import ImageSet

__all__ = ["Cifar10Spec", "Cifar100Spec", "ShapesSpec"]

_CIFAR_TRAIN_IMAGES = 50_000
_CIFAR_TEST_IMAGES = 10_000


class _CifarSpec(DatasetSpec):
    val_size: int = Field(
        default=5000,
        ge=0,
        lt=_CIFAR_TRAIN_IMAGES,
        description="images held out of the 50000 training images for validation; 5000 as in the paper "
        "(section 4.2); 0 trains on all",
    )
    split_seed: int = Field(default=0, ge=0, description="seed of the choice of the held-out images")

    @property
    def image_size(self) -> int:
        return 32

    @property
    def sizes(self) -> dict[str, int]:
        return {
            "train": _CIFAR_TRAIN_IMAGES - self.val_size,
            "val": self.val_size,
            "test": _CIFAR_TEST_IMAGES,
        }


class Cifar10Spec(_CifarSpec):
    """CIFAR-10 (Krizhevsky 2009): 60000 colour photographs of 32x32 pixels in 10 classes."""

    kind: Literal["cifar10"] = "cifar10"

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.cifar_classes import CIFAR10_CLASSES

        return CIFAR10_CLASSES

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.cifar import CIFAR10, read_cifar

        return read_cifar(CIFAR10, data_root, splits, val_size=self.val_size, split_seed=self.split_seed)


class Cifar100Spec(_CifarSpec):
    """CIFAR-100 (Krizhevsky 2009): 60000 colour photographs of 32x32 pixels in 100 fine classes."""

    kind: Literal["cifar100"] = "cifar100"

    @property
    def num_classes(self) -> int:
        return 100

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.cifar_classes import CIFAR100_CLASSES

        return CIFAR100_CLASSES

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.cifar import CIFAR100, read_cifar

        return read_cifar(CIFAR100, data_root, splits, val_size=self.val_size, split_seed=self.split_seed)


class ShapesSpec(DatasetSpec):
    """Drawn shapes of 32x32 pixels in 10 classes, made on the spot: no file, no download."""

    kind: Literal["shapes"] = "shapes"
    data_seed: int = Field(default=0, ge=0, description="seed of the drawings")
    num_train: int = Field(default=10_000, ge=1, le=10**6, description="training images")
    num_val: int = Field(default=1000, ge=1, le=10**6, description="validation images")
    num_test: int = Field(default=2000, ge=1, le=10**6, description="test images")

    @property
    def image_size(self) -> int:
        return 32

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def class_names(self) -> tuple[str, ...]:
        from rescli.data.shapes import SHAPE_CLASSES

        return SHAPE_CLASSES

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> dict[str, ImageSet]:
        from rescli.data.shapes import make_shapes

        return make_shapes(
            seed=self.data_seed,
            num_train=self.num_train,
            num_val=self.num_val,
            num_test=self.num_test,
            splits=splits,
        )
