"""What sets of photographs have in common: files of any size, and how the nets see them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from rescli.spec.base import DatasetSpec
from rescli.spec.units import Pixels

if TYPE_CHECKING:
    from rescli.data.photos.image_files import ImageFiles

__all__ = ["NATIVE_SIZE", "ORIENTATIONS", "Orientation", "PhotoSetSpec", "is_crop_size"]

Orientation = Literal["stored", "upright"]

ORIENTATIONS: tuple[Orientation, ...] = ("stored", "upright")

NATIVE_SIZE = 224
"""Side of the crops that the paper trains on, and that the shorter sides of its recipe belong to."""

_STEP, _LARGEST = 32, 1024


def is_crop_size(size: int) -> bool:
    """Whether photographs can be cropped to this side, in pixels."""
    return size % _STEP == 0 and _STEP <= size <= _LARGEST


class PhotoSetSpec(DatasetSpec):
    """Photographs in files of any size. Keys at their defaults are left out of what is written down."""

    any_size: ClassVar = True
    image_size: Pixels = Field(
        default=NATIVE_SIZE,
        description="Side of the crops that the net sees: a multiple of 32, from 32 to 1024. The shorter "
        "sides to which images are resized follow in proportion (256 at 224 in evaluation).",
    )
    orientation: Orientation = Field(
        default="stored",
        description="stored takes the pixels as the file has them, as published ImageNet errors are "
        "measured; upright turns them as EXIF says.",
    )

    @field_validator("image_size")
    @classmethod
    def _is_a_multiple(cls, size: int) -> int:
        if not is_crop_size(size):
            near = min(max(_STEP, round(size / _STEP) * _STEP), _LARGEST)
            raise ValueError(f"a multiple of {_STEP} from {_STEP} to {_LARGEST}; nearest: {near}")
        return size

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As specs were written before there were these keys: equal specs have equal fingerprints."""
        written: dict[str, Any] = write(self)
        if written.get("image_size") == NATIVE_SIZE:
            del written["image_size"]
        if written.get("orientation") == "stored":
            del written["orientation"]
        return written

    @property
    def upright(self) -> bool:
        return self.orientation == "upright"

    def seen_as(self, other: DatasetSpec) -> Self:
        if not isinstance(other, PhotoSetSpec):
            return self
        same = {"image_size": other.image_size, "orientation": other.orientation}
        return self.model_copy(update=same)

    def build(self, data_root: Path | None, splits: tuple[str, ...]) -> Mapping[str, ImageFiles]:
        found = self.read(data_root, splits)
        return {split: files.oriented(upright=self.upright) for split, files in found.items()}

    @property
    def is_known(self) -> bool:
        """Whether sizes and classes are known without the files."""
        return False

    def listed(self, data_root: Path | None, splits: tuple[str, ...]) -> Mapping[str, ImageFiles]:
        """As ``build``, but of no file a byte is read: the fingerprints mean nothing.

        Raises:
            DataError: files missing, or images that were packed in another way.
        """
        found = self.read(data_root, splits, hashed=False)
        return {split: files.oriented(upright=self.upright) for split, files in found.items()}

    @abstractmethod
    def read(
        self, data_root: Path | None, splits: tuple[str, ...], *, hashed: bool = True
    ) -> Mapping[str, ImageFiles]:
        """The named splits and no other, as their files store them.

        Args:
            hashed: read every file for the fingerprints; else those mean nothing.

        Raises:
            DataError: files missing or damaged.
        """
