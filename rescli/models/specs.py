"""ResNets, plain nets and their blocks as specs. No torch until ``build``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from rescli import paper, registry
from rescli.errors import SpecError
from rescli.models.layout import CONVS_PER_BLOCK, Layout, resnet_layout
from rescli.models.naming import default_image_size, neighbours, parse_model_name, table1_depths
from rescli.spec.base import BlockSpec, ModelSpec, plugged
from rescli.spec.explain import explain
from rescli.spec.toml import Table
from rescli.spec.units import Channels, Layers

if TYPE_CHECKING:
    from torch import nn

    AnyBlock = BlockSpec
else:
    AnyBlock = plugged(BlockSpec)

__all__ = ["BasicBlockSpec", "BottleneckBlockSpec", "PlainSpec", "ResNetSpec", "model_spec"]

Option = Literal["A", "B", "C"]
StrideOn = Literal["1x1", "3x3"]

_LARGE = 64
"""Side in pixels from which images get the ImageNet family, unless the spec says else."""


class BasicBlockSpec(BlockSpec):
    """Two 3x3 convolutions (figure 5 left)."""

    kind: Literal["basic"] = "basic"
    expansion: ClassVar[int] = 1

    def build(self, *, stride_on: str) -> Callable[..., nn.Module]:
        """``stride_on`` does not matter here: the first 3x3 convolution has the stride."""
        from rescli.models.blocks import BasicBlock

        return BasicBlock


class BottleneckBlockSpec(BlockSpec):
    """1x1, 3x3 and 1x1 convolutions (figure 5 right)."""

    kind: Literal["bottleneck"] = "bottleneck"
    expansion: ClassVar[int] = 4

    def build(self, *, stride_on: str) -> Callable[..., nn.Module]:
        from rescli.models.blocks import BottleneckBlock

        return partial(BottleneckBlock, stride_on=stride_on)


class _StagedSpec(ModelSpec):
    """What ResNets and plain nets share. ``complete`` fills every field but the depth."""

    depth: Layers = Field(
        gt=0,
        le=10_000,
        description="Number of weight layers: 6n+2 in the CIFAR family, Table 1's in the ImageNet family.",
    )
    family: Literal["cifar", "imagenet"] = Field(
        description="cifar: section 4.2, three stages; imagenet: Table 1, four stages. "
        "Unset: imagenet for images of 64 pixels or more."
    )
    width: Channels = Field(
        ge=1,
        le=4096,
        description="Channels of the stem, doubled from stage to stage. Unset: 16 (cifar) or 64 (imagenet).",
    )
    block: AnyBlock = Field(
        description="The residual block. Unset: bottleneck for imagenet depths from 50, else basic."
    )
    init_fan: Literal["in", "out"] = Field(
        "in",
        description="Fan of the He initialisation: in (arXiv:1502.01852, eq. 10) or out (eq. 14).",
    )

    @classmethod
    def complete(cls, given: Table, *, image_size: int) -> Table:
        """``given`` plus what follows from it and the image size; given keys stay, even wrong ones."""
        filled = dict(given)
        filled.setdefault("family", "imagenet" if image_size >= _LARGE else "cifar")
        imagenet = filled["family"] == "imagenet"
        filled.setdefault("width", paper.IMAGENET_WIDTH if imagenet else paper.CIFAR_WIDTH)
        block = paper.imagenet_block(_depth(filled.get("depth"))) if imagenet else "basic"
        filled.setdefault("block", {"kind": block})
        filled.setdefault("init_fan", "in")
        return filled

    def check(self, *, image_size: int) -> None:
        """Raise ValueError where the family has no net of this depth. Any image size will do."""
        if self.family == "cifar":
            self._check_cifar()
        else:
            self._check_imagenet()

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.depth}"

    def layout(self, *, num_classes: int, image_size: int) -> Layout | None:
        """None where the block is a plugin's."""
        if not isinstance(self.block, BasicBlockSpec | BottleneckBlockSpec):
            return None
        return resnet_layout(
            family=self.family,
            depth=self.depth,
            shortcut=self._shortcut,
            width=self.width,
            block=self.block.kind,
            stride_on=self._stride_on,
            num_classes=num_classes,
            image_size=image_size,
        )

    def build(self, *, num_classes: int, image_size: int, seed: int) -> nn.Module:
        """The initialised net; ``image_size`` does not change it."""
        from rescli.models.resnet import cifar_resnet, imagenet_resnet

        block = self.block.build(stride_on=self._stride_on)
        if self.family == "cifar":
            return cifar_resnet(
                depth=self.depth,
                num_classes=num_classes,
                shortcut=self._shortcut,
                width=self.width,
                block=block,
                expansion=self.block.expansion,
                convs_per_block=self._convs_per_block,
                seed=seed,
                init_fan=self.init_fan,
            )
        return imagenet_resnet(
            depth=self.depth,
            num_classes=num_classes,
            shortcut=self._shortcut,
            width=self.width,
            block=block,
            expansion=self.block.expansion,
            seed=seed,
            init_fan=self.init_fan,
        )

    @property
    def _shortcut(self) -> Option | None:
        return None

    @property
    def _stride_on(self) -> StrideOn:
        return "1x1"

    @property
    def _convs_per_block(self) -> int:
        """A plugin's block counts as two layers, the paper's, whatever is inside it."""
        return CONVS_PER_BLOCK.get(self.block.kind, 2)

    def _check_cifar(self) -> None:
        step = 3 * self._convs_per_block
        if self.depth > step and (self.depth - 2) % step == 0:
            return
        near = neighbours(self.depth, layers_per_n=step)
        shown = " and ".join(f"{depth} (n={(depth - 2) // step})" for depth in near)
        reason = f"{self.depth} is not {step}n+2; the nearest {_depths_are(near)} {shown}"
        if self.depth in table1_depths(self.kind):
            reason += (
                f"; {self.name} of Table 1 is family = 'imagenet', for images of {_LARGE} pixels or more"
            )
        raise ValueError(reason)

    def _check_imagenet(self) -> None:
        depths = table1_depths(self.kind)
        if self.depth not in depths:
            near = neighbours(self.depth, among=depths)
            what = "plain nets" if self.kind == "plain" else "ResNets"
            reason = (
                f"{self.depth} is not a depth of the ImageNet {what}, which are "
                f"{' '.join(map(str, depths))}; the nearest {_depths_are(near)} "
                f"{' and '.join(map(str, near))}"
            )
            if self.depth > 6 and (self.depth - 2) % 6 == 0:
                reason += (
                    f"; the 6n+2 layers of section 4.2 are family = 'cifar', for images under {_LARGE} pixels"
                )
            raise ValueError(reason)
        fitting = paper.imagenet_block(self.depth)
        if self.block.kind in CONVS_PER_BLOCK and self.block.kind != fitting:
            raise ValueError(
                f"{self.name} of Table 1 is made of {fitting} blocks; of {self.block.kind} blocks it "
                f"would not have {self.depth} layers"
            )


class ResNetSpec(_StagedSpec):
    """A residual net."""

    kind: Literal["resnet"] = "resnet"
    shortcut: Option = Field(
        description="Option of section 3.3: A zero padding, B projection where the size changes, "
        "C projection everywhere. Unset: B for imagenet depths from 50, else A."
    )
    stride_on: StrideOn = Field(
        "1x1",
        description="Convolution of a bottleneck that has the stride: 1x1 as the paper, 3x3 as torchvision.",
    )

    @classmethod
    def complete(cls, given: Table, *, image_size: int) -> Table:
        filled = super().complete(given, image_size=image_size)
        imagenet = filled["family"] == "imagenet"
        filled.setdefault(
            "shortcut", paper.imagenet_shortcut(_depth(filled.get("depth"))) if imagenet else "A"
        )
        filled.setdefault("stride_on", "1x1")
        return filled

    @property
    def _shortcut(self) -> Option:
        return self.shortcut

    @property
    def _stride_on(self) -> StrideOn:
        return self.stride_on


class PlainSpec(_StagedSpec):
    """A ResNet with its shortcuts left out; it starts from the same tensors as option A."""

    kind: Literal["plain"] = "plain"


def model_spec(name: str, *, image_size: int | None = None, **given: Any) -> ModelSpec:
    """The complete, checked spec of a name: ``model_spec("resnet-56", shortcut="B")``.

    Args:
        image_size: side of the images in pixels; None for those that the depth is meant for.
        given: fields of the model's spec, against its defaults.

    Raises:
        UnknownNameError: no such model.
        SpecError: a depth or field that the model does not have or allow.
    """
    kind, depth = parse_model_name(name)
    model_class: type[ModelSpec] = registry.load("models", kind)
    fields = {"kind": kind, **({} if depth is None else {"depth": depth}), **given}
    size = default_image_size(depth, kind=kind) if image_size is None else image_size
    try:
        spec = model_class.model_validate(model_class.complete(fields, image_size=size))
        spec.check(image_size=size)
    except ValidationError as error:
        raise SpecError(f"{name}: {explain(error, whole=kind)}") from error
    except ValueError as error:
        raise SpecError(f"{name}: {error}.") from error
    return spec


def _depth(given: Any) -> int:
    """A depth that nothing has validated yet as a number; 0 where it is none."""
    try:
        return int(given)
    except (TypeError, ValueError, OverflowError):
        return 0


def _depths_are(depths: tuple[int, ...]) -> str:
    return "depths are" if len(depths) > 1 else "depth is"
