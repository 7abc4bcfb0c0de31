"""Test protocols: named, frozen, with every choice explicit. No torch.

The paper tests CIFAR on the image as it is (section 4.2), compares ImageNet nets by ten crops (section 4.1)
and reports its best results fully convolutionally at five scales (section 3.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, NotRequired, TypedDict

from rescli import paper, registry
from rescli.errors import UsageError
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec
from rescli.spec.photos import NATIVE_SIZE

__all__ = [
    "AVERAGES",
    "CENTER224",
    "FLIP",
    "MULTI_SCALE",
    "SINGLE",
    "TEN_CROP",
    "Average",
    "Protocol",
    "ViewChoices",
    "Views",
    "choose_protocol",
    "default_protocol",
    "named_protocol",
]

Average = Literal["probabilities", "logits"]
Positions = Literal["whole", "center", "five", "dense"]

_LARGE = 64
"""Side of the images from which on nets are of the ImageNet family, unless the spec says another."""

AVERAGES: tuple[Average, ...] = ("probabilities", "logits")
"""What is averaged over the views of an image: softmax probabilities, as the paper, or logits."""


class ViewChoices(TypedDict):
    """Every choice of ``Views`` as JSON values."""

    shorter_sides: list[int]
    pad: int
    crop: int | None
    positions: Positions
    flip: bool
    window: int | None
    interpolation: str
    orientation: NotRequired[Literal["upright"]]


@dataclass(frozen=True)
class Views:
    """How one image becomes the inputs of the net: all choices, none implied.

    Args:
        shorter_sides: the image is resized so that its shorter side has so many pixels, once for each; the
            longer side is ``int(side * longer / shorter)``. Bilinear, antialiased (Pillow's). Empty: the
            image keeps its size.
        pad: zeros around the normalised image, in pixels: what rescli's training pads with.
        crop: side of the square crops; None where the net sees the whole image.
        positions: ``whole`` the image without cropping; ``center``; ``five`` the corners and the centre;
            ``dense`` the whole image through the net made fully convolutional.
        flip: the mirror image too, cropped alike: where the margin is odd, its centre is one pixel off the
            centre's mirror image, as in torchvision.
        window: for ``dense`` only: side of the average pooling in the last map. It slides with stride 1 over
            the map, the classifier is applied at each place, and the class map is averaged over its places,
            as logits.
        upright: the image is turned first as the orientation in its file says.

    Raises:
        ValueError: the choices contradict each other.
    """

    shorter_sides: tuple[int, ...] = ()
    pad: int = 0
    crop: int | None = None
    positions: Positions = "whole"
    flip: bool = False
    window: int | None = None
    upright: bool = False

    def __post_init__(self) -> None:
        if (self.crop is None) != (self.positions in ("whole", "dense")):
            raise ValueError(f"positions {self.positions!r} and crop {self.crop} contradict each other")
        if (self.window is None) != (self.positions != "dense"):
            raise ValueError(f"positions {self.positions!r} and window {self.window} contradict each other")
        if self.crop is not None and self.shorter_sides and self.crop > min(self.shorter_sides):
            raise ValueError(
                f"a crop of {self.crop} does not fit into a shorter side of {min(self.shorter_sides)}"
            )
        if self.pad and self.shorter_sides:
            raise ValueError("an image is either resized or padded")

    @property
    def places(self) -> int:
        """Inputs for each scale and orientation."""
        return 5 if self.positions == "five" else 1

    @property
    def count(self) -> int:
        """Inputs, and so logits, of one image."""
        return max(1, len(self.shorter_sides)) * self.places * (2 if self.flip else 1)

    def choices(self) -> ViewChoices:
        """Every choice as JSON values; an orientation only where it is not the stored one."""
        choices: ViewChoices = {
            "shorter_sides": list(self.shorter_sides),
            "pad": self.pad,
            "crop": self.crop,
            "positions": self.positions,
            "flip": self.flip,
            "window": self.window,
            "interpolation": "bilinear-pil",
        }
        if self.upright:
            choices["orientation"] = "upright"
        return choices

    def in_proportion(self, image_size: int) -> Views:
        """The same views of photographs for a net that was trained on crops of that side, in pixels."""
        if image_size == NATIVE_SIZE:
            return self
        window = None
        if self.window is not None:  # the side of the last map of the family that the size is for
            window = image_size // (32 if image_size >= _LARGE else 4)
        return replace(
            self,
            shorter_sides=tuple(side * image_size // NATIVE_SIZE for side in self.shorter_sides),
            crop=None if self.crop is None else self.crop * image_size // NATIVE_SIZE,
            window=window,
        )

    def describe(self) -> str:
        """One line for people: ``shorter side 256, five 224x224 crops (...) and their mirror images``."""
        parts = ["turned upright as the file says"] if self.upright else []
        if self.shorter_sides:
            sides = " ".join(map(str, self.shorter_sides))
            plural = "s" if len(self.shorter_sides) > 1 else ""
            parts.append(f"shorter side{plural} {sides} (bilinear, antialiased)")
        if self.pad:
            parts.append(f"normalised, padded by {self.pad} zeros")
        parts.append(self._describe_positions())
        text = ", ".join(parts) + (", and the mirror images" if self.flip else "")
        return f"{text}: {self.count} view{'s' if self.count > 1 else ''}"

    def _describe_positions(self) -> str:
        size = f"{self.crop}x{self.crop} " if self.crop else ""
        if self.positions == "whole":
            return "the image as it is"
        if self.positions == "center":
            return f"the {size}crop at the centre"
        if self.positions == "five":
            return f"{size}crops at the four corners and the centre"
        return (
            f"fully convolutional: {self.window}x{self.window} average and classifier at every place of the "
            "last map, class map averaged"
        )


@dataclass(frozen=True)
class Protocol:
    """A named way to test. Group ``rescli.protocols``; registered as the object itself.

    Args:
        name: what users call it.
        summary: one line for lists.
        small: its views on sets whose images all have the size that the net was trained on, as CIFAR; None
            where it has no such form.
        photos: its views on sets of photographs of any size, for nets trained on 224x224 crops; None where
            it has no such form.
        proportional: whether those views go with nets of other sizes too, every side in proportion.
    """

    name: str
    summary: str
    small: Views | None
    photos: Views | None
    proportional: bool = False

    def views(self, dataset: DatasetSpec, *, image_size: int | None = None) -> Views:
        """The views on the images of a data set.

        Args:
            dataset: the data set.
            image_size: side of the net's training images, in pixels; None for the data set's.

        Raises:
            UsageError: the protocol has no form for such images.
        """
        views = self.photos if dataset.any_size else self.small
        image_size = dataset.image_size if image_size is None else image_size
        if views is not None and views is self.photos:
            if self.proportional:
                views = views.in_proportion(image_size)
            if dataset.upright:
                views = replace(views, upright=True)
        if views is None:
            images = "photographs of any size" if dataset.any_size else f"{image_size}x{image_size} images"
            raise UsageError(
                f"protocol {self.name!r} is not for {images}.",
                remedy=Remedy("protocol", default_protocol(dataset).name),
            )
        native = min(views.shorter_sides) if views.positions == "dense" else views.crop
        if native not in (None, image_size):
            raise UsageError(
                f"protocol {self.name!r} is for nets trained on {native}x{native} images; this one was "
                f"trained on {image_size}x{image_size}.",
                remedy=Remedy("protocol", _center(image_size).name if dataset.any_size else SINGLE.name),
            )
        return views


SINGLE = Protocol(
    "single", "each image once, as it is (section 4.2; CIFAR)", small=Views(positions="whole"), photos=None
)
CENTER224 = Protocol(
    "center224",
    "the 224x224 centre of the image with shorter side 256",
    small=None,
    photos=Views(shorter_sides=(256,), crop=224, positions="center"),
)
FLIP = Protocol(
    "flip",
    "the single view and its mirror image",
    small=Views(positions="whole", flip=True),
    photos=Views(shorter_sides=(256,), crop=224, positions="center", flip=True),
    proportional=True,
)
TEN_CROP = Protocol(
    "ten-crop",
    "corners, centre, and their mirror images (section 4.1; 32x32 images padded by 4)",
    small=Views(pad=paper.PAD, crop=32, positions="five", flip=True),
    photos=Views(shorter_sides=(256,), crop=224, positions="five", flip=True),
    proportional=True,
)
MULTI_SCALE = Protocol(
    "multi-scale",
    "fully convolutional at several scales (section 3.4; on 32x32 images rescli's own choice of scales)",
    small=Views(shorter_sides=(32, 36, 40), positions="dense", flip=True, window=8),
    photos=Views(shorter_sides=paper.TEST_SCALES, positions="dense", flip=True, window=7),
    proportional=True,
)


def default_protocol(dataset: DatasetSpec) -> Protocol:
    """The protocol of a set's single view: of photographs the centre, ``center224``, else ``single``."""
    return _center(dataset.image_size) if dataset.any_size else SINGLE


def _center(image_size: int) -> Protocol:
    """``center224``, and the same in proportion for nets of crops of another side: ``center64``."""
    if image_size == NATIVE_SIZE:
        return CENTER224
    assert CENTER224.photos is not None
    views = CENTER224.photos.in_proportion(image_size)
    (side,) = views.shorter_sides
    summary = f"the {image_size}x{image_size} centre of the image with shorter side {side}"
    return Protocol(f"center{image_size}", summary, small=None, photos=views)


def choose_protocol(name: str | None, dataset: DatasetSpec) -> Protocol:
    """The registered protocol of that name; where there is no name, the data set's single view.

    Raises:
        UnknownNameError: no protocol has that name.
        UsageError: a plugin registered something else under it.
    """
    return default_protocol(dataset) if name is None else named_protocol(name)


def named_protocol(name: str) -> Protocol:
    """The registered protocol of that name.

    Raises:
        UnknownNameError: no protocol has that name.
        UsageError: a plugin registered something else under it.
    """
    if (of_size := re.fullmatch(r"center(\d+)", name)) and int(of_size[1]) > 0:
        return _center(int(of_size[1]))
    protocol = registry.load("protocols", name)
    if not isinstance(protocol, Protocol):
        raise UsageError(
            f"what is registered as protocol {name!r} is a {type(protocol).__name__}, not a Protocol.",
            page="plugin-cannot-be-used",
        )
    return protocol
