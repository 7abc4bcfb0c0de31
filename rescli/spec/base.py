"""What every spec is: frozen data with typed keys, open to plugins where a key has a ``kind``.

A spec describes; it does not compute. ``build()`` turns it into objects that know no spec, and
imports torch only then, so a spec can be read, checked and printed without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, model_validator
from pydantic_core import PydanticCustomError

from rescli import registry
from rescli.errors import RescliError, nearest
from rescli.foreign_text import readable
from rescli.spec.toml import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from rescli.data.folders.survey import Survey
    from rescli.data.image_set import ImageSet
    from rescli.data.photos.image_files import ImageFiles
    from rescli.models.layout import Layout
    from rescli.optim.optimizer import Optimizer
    from rescli.optim.schedules import Schedule

__all__ = [
    "BlockSpec",
    "DatasetSpec",
    "ModelSpec",
    "OptimizerSpec",
    "PluggedSpec",
    "ScheduleSpec",
    "Spec",
    "plugged",
]


class Spec(BaseModel):
    """Frozen, and refusing every key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key",
                        {
                            "key": readable(str(key)),
                            "allowed": sorted(cls.model_fields),
                            "nearest": nearest(str(key), cls.model_fields),
                        },
                    )
        return data


class PluggedSpec(Spec):
    """A spec chosen by its ``kind``, the name under which its class is registered."""

    kind: str
    group: ClassVar[str]
    """The registry group that its kinds come from."""


class ModelSpec(PluggedSpec, ABC):
    """A network. Group ``rescli.models``."""

    group = "models"

    @classmethod
    def complete(cls, given: Table, *, image_size: int) -> Table:
        """``given`` plus every value that follows from the image size, so the spec says it all."""
        return given

    def check(self, *, image_size: int) -> None:
        """Raise ValueError, saying why and naming neighbours, if the net cannot take such images."""

    @property
    def name(self) -> str:
        """What people call it, ``resnet-56``; names runs and figures."""
        return self.kind

    def layout(self, *, num_classes: int, image_size: int) -> Layout | None:
        """Its layers as numbers (no torch), for the plan's estimate; None where unknown."""
        return None

    @abstractmethod
    def build(self, *, num_classes: int, image_size: int, seed: int) -> nn.Module:
        """The initialised net on the CPU: images float (N, 3, H, W) -> logits (N, num_classes)."""


class BlockSpec(PluggedSpec, ABC):
    """A residual block. Group ``rescli.blocks``."""

    group = "blocks"
    expansion: ClassVar[int] = 1
    """Output channels of the block per channel of its inner 3x3 convolution."""

    @abstractmethod
    def build(self, *, stride_on: str) -> Callable[..., nn.Module]:
        """A factory ``(in_channels, out_channels, stride, shortcut) -> Module``.

        ``shortcut`` is a module, or None in a plain net; the block maps (N, C_in, H, W) to
        (N, C_out, ceil(H / stride), ceil(W / stride)).
        """


class DatasetSpec(PluggedSpec, ABC):
    """A labelled image set with its splits. Group ``rescli.datasets``."""

    group = "datasets"

    if TYPE_CHECKING:  # at run time it may be a key of the spec, which no property may hide

        @property
        @abstractmethod
        def image_size(self) -> int:
            """Side of the square training images, or of their crops, in pixels."""

    @property
    def upright(self) -> bool:
        """Whether photographs are turned as the orientation in their files says."""
        return False

    def seen_as(self, other: DatasetSpec) -> Self:
        """The same images as a net trained on another set sees images: turned alike, of one size."""
        return self

    @property
    def any_size(self) -> bool:
        """Whether the images are files of any size (``build`` gives ``ImageFiles``), not all of one size."""
        return False

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """How many classes the labels count.

        Raises:
            SpecError: only the files can say.
        """

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One per class in label order, known without the files; None where only those can say."""
        return None

    @property
    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Number of images in each of ``train``, ``val`` and ``test``.

        Raises:
            SpecError: only the files can say.
        """

    def resolved(self, data_root: Path | None) -> Self:
        """The same spec with what only the files can say filled in, before a training on them.

        Raises:
            DataError: files missing.
        """
        return self

    def survey(
        self,
        data_root: Path | None,
        progress: Callable[[int, int], None] | None = None,
        *,
        every_header: bool = False,
    ) -> Survey | None:
        """What the files hold and what is odd about them; None of a set that is the same everywhere.

        Args:
            progress: called now and then with the number of images looked at, and of all that are to be.
            every_header: look at every image, however many there are.

        Raises:
            DataError: files missing.
        """
        return None

    def surveyed(
        self, data_root: Path | None, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Self, Survey | None]:
        """``resolved``, and what was seen on the way: what the files hold and what is odd about them.

        Where no net can be trained on them, the survey says so, and nothing is filled in.

        Args:
            progress: called now and then with the number of images looked at, and of all that are to be.

        Raises:
            DataError: files missing.
        """
        return self.resolved(data_root), None

    def splits(self, data_root: Path | None) -> tuple[str, ...]:
        """The splits that have images.

        Raises:
            DataError: only the files can say, and they are missing or damaged.
        """
        return tuple(split for split, size in self.sizes.items() if size)

    def check_available(self, data_root: Path | None) -> None:
        """Whether the images are there to train on, without looking at a test image.

        Sets of many files look for their folders alone.

        Raises:
            DataError: they are not.
        """
        self.build(data_root, ("train",))

    def would_download(self, data_root: Path | None) -> bool:
        """Whether reading the images would download them first."""
        return False

    def begin_building(self) -> None:
        """Begin to build what is trained and validated on, beside the import of torch; return at once."""

    @abstractmethod
    def build(
        self, data_root: Path | None, splits: tuple[str, ...]
    ) -> Mapping[str, ImageSet] | Mapping[str, ImageFiles]:
        """Read the named splits and no other. ``data_root`` None: RESCLI_DATA, else the cache.

        Raises:
            DataError: files missing or damaged.
        """


class OptimizerSpec(PluggedSpec, ABC):
    """What turns gradients into steps. Group ``rescli.optimizers``."""

    group = "optimizers"
    lr: float
    """Base learning rate; the schedule multiplies it."""

    @abstractmethod
    def build(self, model: nn.Module) -> Optimizer: ...


class ScheduleSpec(PluggedSpec, ABC):
    """The learning rate's course. Group ``rescli.schedules``."""

    group = "schedules"

    def scaled(self, ratio: float) -> Self:
        """The same course in ``ratio`` times as many iterations."""
        return self

    @abstractmethod
    def build(self) -> Schedule:
        """Pure functions of the step and the trigger state; no torch."""


def plugged(base: type[PluggedSpec]) -> Any:
    """The annotation of a field that holds any registered kind of ``base``.

    The value may be a spec, a mapping with ``kind``, or the kind alone as a string.
    """

    def resolve(value: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, Spec):
            return value
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if not isinstance(kind, str):
            raise PydanticCustomError(
                "no_kind", "needs a kind, one of {known}", {"known": ", ".join(registry.names(base.group))}
            )
        try:
            spec_class = registry.load(base.group, kind)
        except RescliError as error:
            raise PydanticCustomError("unknown_kind", "{reason}", {"reason": str(error)}) from error
        return spec_class.model_validate(dict(value))

    return SerializeAsAny[Annotated[base, BeforeValidator(resolve)]]  # type: ignore[misc, valid-type]
