"""Pictures from anywhere as the nets see them: files of every kind, Pillow's images, arrays.

A photograph goes through exactly what an evaluation does with it. For a net of small images, which all have
one size, the centre of the picture is reduced to that size; a picture of that size stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.photos.decoding import open_rgb, pillow_unheard
from rescli.data.photos.grey_levels import grey_of_16_bits
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.orientation import orientation_of, turned
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError, UsageError
from rescli.evaluation.images.views import center_crop
from rescli.evaluation.protocols import Views
from rescli.files import require_plain_file
from rescli.hardware.threads.cores import usable_cores
from rescli.spec.base import DatasetSpec

__all__ = [
    "Picture",
    "as_pictures",
    "describe_preparation",
    "fit_square",
    "picture_name",
    "picture_set",
    "read_picture",
]

Picture = str | os.PathLike[str] | Image.Image | NDArray[np.uint8] | torch.Tensor
"""A file's name, an image of Pillow, or uint8 (H, W, 3) or grey (H, W), of numpy or torch."""

T = TypeVar("T")

"""Formats that Pillow reads as 32-bit integers where a file holds levels of 16 bits."""
_TAKEN = "a file's name, an image of Pillow, or a uint8 array (H, W, 3), (H, W, 1) or (H, W)"


def read_picture(picture: Picture, *, upright: bool = False, enough: int | None = None) -> Image.Image:
    """A picture as 8-bit RGB, by the rules of an evaluation.

    Grey is repeated; CMYK, palettes and others are converted; transparency is dropped; of an animation the
    first frame counts. Of 16 bits per channel the upper 8 count.

    Args:
        picture: a file's name, an image of Pillow, or a uint8 array.
        upright: turn it as the orientation in its file says; an array has none.
        enough: pixels of the shorter side that are to be seen, where a large file need not be decoded whole.

    Raises:
        DataError: the file is missing or damaged, or its pixels are no levels of 8 or 16 bits.
        UsageError: an array of another type or shape, or something else altogether.
    """
    if isinstance(picture, Image.Image):
        rgb = _pillow_rgb(picture)
        return turned(rgb, orientation_of(picture)) if upright else rgb
    if isinstance(picture, str | os.PathLike):
        return _file_rgb(Path(picture), upright=upright, enough=enough)
    return _array_rgb(picture)


def picture_name(picture: Picture, number: int) -> str:
    """The file's name; for what has none, its number in the list, from 0: ``#3``."""
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    name = getattr(picture, "filename", None)
    return str(name) if name else f"#{number}"


def as_pictures(given: Picture | Iterable[Picture]) -> list[Picture]:
    """One picture or several as a list; an array of four dimensions (N, H, W, 3) is N pictures.

    Raises:
        UsageError: it is neither.
    """
    dimensions = getattr(given, "ndim", None)
    if isinstance(given, str | os.PathLike | Image.Image) or dimensions in (0, 1, 2, 3):
        return [given]  # type: ignore[list-item]
    if isinstance(given, bytes) or not isinstance(given, Iterable) or dimensions not in (None, 4):
        raise UsageError(f"a picture is {_TAKEN}, and several are a list of them; this is {_what(given)}.")
    return list(given)


def fit_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """uint8 (size, size, 3): shorter side ``size`` (bilinear, antialiased), then the centre.

    An image of exactly that size is left untouched.
    """
    return np.array(image) if image.size == (size, size) else center_crop(image, size, size)


def describe_preparation(views: Views, dataset: DatasetSpec) -> str:
    """One line for people: what happens to a picture before a net of that data set sees it."""
    if dataset.any_size:
        return views.describe()
    side = dataset.image_size
    size = f"{side}x{side}"
    fitted = f"shorter side {side} (bilinear, antialiased), {size} centre; as it is where {size}"
    return f"{fitted}; {views.describe() if views.count > 1 else '1 view'}"


def picture_set(
    pictures: Sequence[Picture],
    names: Sequence[str],
    class_names: tuple[str, ...],
    *,
    dataset: DatasetSpec,
    views: Views,
    skipped: dict[int, str] | None = None,
) -> LabelledImages:
    """Pictures as a net's own data set has its images.

    Photographs are decoded by ``view_batches`` while the net computes; images of one size are made here.

    Args:
        pictures: N of them.
        names: what each is called in errors.
        class_names: the net's; none of the images has a true class.
        dataset: what the net was trained on.
        views: what will be made of them.
        skipped: gets number and reason of each that cannot be read; None for an error instead.
    """
    if not dataset.any_size:
        return _small_set(pictures, names, class_names, dataset.image_size, skipped)
    return _Photos(
        root=Path(),
        file_names=tuple(names),
        labels_N=torch.zeros(len(pictures), dtype=torch.int64),
        class_names=class_names,
        fingerprint="",
        pictures=pictures,
        upright=views.upright,
        damaged=skipped,
    )


def _small_set(
    pictures: Sequence[Picture],
    names: Sequence[str],
    class_names: tuple[str, ...],
    size: int,
    skipped: dict[int, str] | None,
) -> ImageSet:
    def fitted(number: int) -> NDArray[np.uint8]:
        return _or_skip(
            lambda: fit_square(read_picture(pictures[number]), size),
            number,
            skipped,
            np.zeros((size, size, 3), np.uint8),
        )

    images = list(map_ahead(fitted, range(len(pictures)), threads=usable_cores()))
    stacked = np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8)
    return ImageSet(
        images_NHWC=torch.from_numpy(stacked),
        labels_N=torch.zeros(len(pictures), dtype=torch.int64),
        class_names=class_names,
        fingerprint="",
        file_names=tuple(names),
    )


@dataclass(frozen=True, eq=False)
class _Photos(ImageFiles):
    pictures: Sequence[Picture] = ()

    def image(self, index: int) -> Image.Image:
        return read_picture(self.pictures[index], upright=self.upright)


def _or_skip(read: Callable[[], T], number: int, skipped: dict[int, str] | None, instead: T) -> T:
    try:
        return read()
    except DataError as error:
        if skipped is None:
            raise
        skipped[number] = str(error)
        return instead


def _file_rgb(path: Path, *, upright: bool, enough: int | None) -> Image.Image:
    # os.path: pathlib raises where a path is too long or holds what a name cannot hold.
    if not os.path.isfile(path):
        require_plain_file(path, DataError)
        folder = os.path.isdir(path)
        raise DataError(f"{path} is a folder, not a picture." if folder else f"no such file: {path}")
    try:
        return open_rgb(path, upright=upright, enough=enough)
    except DataError:
        # Training and evaluation refuse grey of 16 bits; here its upper 8 are taken, as of colour.
        grey = _grey16_file(path, upright=upright)
        if grey is None:
            raise
        return grey


def _grey16_file(path: Path, *, upright: bool) -> Image.Image | None:
    try:
        with pillow_unheard(), Image.open(path) as image:
            grey = grey_of_16_bits(image)
            return turned(grey, orientation_of(image)) if grey is not None and upright else grey
    # Damaged, which the error that came first says better; Pillow raises nearly anything.
    except Exception:
        return None


def _pillow_rgb(image: Image.Image) -> Image.Image:
    name = str(getattr(image, "filename", "") or "an image")
    try:
        if image.mode.startswith("I") or image.mode == "F":
            grey = grey_of_16_bits(image)
            if grey is None:
                raise DataError(
                    f"{name} has pixels of mode {image.mode!r}, which do not say which number is white.",
                    hint="give levels of 8 bits (mode L) or of 16 (mode I;16)",
                )
            return grey
        return image.convert("RGB")
    # Pillow decodes here, and its decoders raise many things on damaged files.
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{name} cannot be decoded: {error}", page="damaged-photographs") from error


def _what(given: object) -> str:
    shape = getattr(given, "shape", None)
    name = f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}".removeprefix("builtins.")
    return name if shape is None else f"{name} {getattr(given, 'dtype', '')} {tuple(shape)}"


def _array_rgb(array: object) -> Image.Image:
    pixels: NDArray[Any] = np.zeros(0)
    if isinstance(array, np.ndarray):
        pixels = array
    elif isinstance(array, torch.Tensor) and array.dtype == torch.uint8:
        pixels = array.cpu().numpy()
    is_picture = pixels.dtype == np.uint8 and (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))
    )
    if not is_picture or 0 in pixels.shape:
        raise UsageError(f"a picture is {_TAKEN}; this is {_what(array)}.", hint=_how_to_convert(array))
    if pixels.shape[2:] == (1,):
        pixels = pixels[:, :, 0]
    return Image.fromarray(pixels).convert("RGB")


def _how_to_convert(array: object) -> str | None:
    shape: tuple[int, ...] = tuple(getattr(array, "shape", ()))
    if len(shape) == 3 and shape[0] in (1, 3) and shape[-1] not in (1, 3):
        return "the channels come last: permute(1, 2, 0) in torch, transpose(1, 2, 0) in numpy"
    if len(shape) in (2, 3) and "uint8" not in str(getattr(array, "dtype", "")):
        return "levels are uint8, from 0 to 255; for inputs that are prepared already, call net.model"
    return None
