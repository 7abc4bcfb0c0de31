"""From uint8 pixels to what the network sees: statistics of the training part, applied everywhere.

Shapes: N images, C channels, H x W pixels. Images are uint8 (N, H, W, C) before, and float32
(N, C, H, W) in channels-last memory after.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, TypedDict, cast

import numpy as np
import torch

from rescli.errors import CheckpointError, DataError
from rescli.kernels.crop.plain import full_scale
from rescli.plurals import counted

__all__ = ["Kind", "Normalization", "StoredNormalization"]

Kind = Literal["per-pixel-mean", "per-channel"]

_KINDS = ("per-pixel-mean", "per-channel")
_CHUNK = 2048
"""Images per partial sum; bounds the memory that the widened copies take."""


class StoredNormalization(TypedDict):
    """A normalisation as JSON values; float32 as base64 of its little-endian bytes."""

    kind: Kind
    shape: list[int]
    mean_per_channel: list[float]
    mean_float32_base64: str
    std_float32_base64: str | None


@dataclass(frozen=True, eq=False)
class Normalization:
    """``(pixel / 255 - mean) / std``; without ``std_C`` the division by it is left out.

    Args:
        kind: ``per-pixel-mean`` subtracts the mean image, as the paper (section 4.2); ``per-channel``
            subtracts one mean and divides by one standard deviation per channel.
        mean_CHW: float32 (C, H, W), or (C, 1, 1) for ``per-channel``, in units of pixel / 255.
        std_C: float32 (C,) in the same units, or None.
    """

    kind: Kind
    mean_CHW: torch.Tensor
    std_C: torch.Tensor | None = None

    @classmethod
    def fit(cls, images_NHWC: torch.Tensor, kind: Kind) -> Self:
        """Measure uint8 images (N, H, W, C), the training part and nothing else.

        Raises:
            As ``fit_parts``.
        """
        return cls.fit_parts([images_NHWC], kind)

    @classmethod
    def fit_parts(cls, parts: Iterable[torch.Tensor], kind: Kind) -> Self:
        """Measure the images of all parts together, each uint8 (N, H, W, C).

        Sums are exact integers and each statistic is rounded once, so neither the order of the images nor
        how they are parted matters.

        Raises:
            DataError: no images, or (``per-channel``) a channel that is constant.
            ValueError: an unknown kind.
        """
        if kind not in _KINDS:
            raise ValueError(f"unknown normalization {kind!r}; known: {', '.join(_KINDS)}")
        num_images, sum_HWC, square_HWC = _sums(parts, squares=kind == "per-channel")
        if num_images == 0:
            raise DataError("cannot normalize by the statistics of a training set without images.")
        if kind == "per-pixel-mean":
            mean_HWC = sum_HWC.double() / (255 * num_images)
            return cls(kind, mean_HWC.permute(2, 0, 1).to(torch.float32).contiguous())
        return cls._per_channel(
            [int(s) for s in sum_HWC.sum((0, 1))],
            [int(s) for s in square_HWC.sum((0, 1))],
            num_images * sum_HWC[..., 0].numel(),
        )

    @classmethod
    def fit_histogram(cls, counts_CV: torch.Tensor) -> Self:
        """The statistics by channel of images that were counted level by level.

        Exactly those of ``fit_parts``, for a third of its work.

        Args:
            counts_CV: int64 (C, 256), how often each channel has each level.

        Raises:
            DataError: no images, or a channel that is constant.
        """
        levels_V = torch.arange(counts_CV.shape[1])
        num_pixels = int(counts_CV[0].sum())
        if num_pixels == 0:
            raise DataError("cannot normalize by the statistics of a training set without images.")
        sums = (counts_CV * levels_V).sum(1).tolist()
        return cls._per_channel(sums, (counts_CV * levels_V**2).sum(1).tolist(), num_pixels)

    @classmethod
    def _per_channel(cls, sums: list[int], square_sums: list[int], count: int) -> Self:
        """``count`` pixels of each channel: the sums of their levels, and of the squares of those."""
        mean = torch.tensor([s / (255 * count) for s in sums], dtype=torch.float64)
        # Python's integers: count * sum(x^2) - sum(x)^2 is exact where float64 would cancel.
        stds = [math.sqrt(count * q - s * s) / (255 * count) for s, q in zip(sums, square_sums, strict=True)]
        for channel, std in enumerate(stds):
            if std == 0:
                raise DataError(f"channel {channel} has the same value in every training image.")
        kind: Kind = "per-channel"
        return cls(kind, mean.float().view(-1, 1, 1), torch.tensor(stds, dtype=torch.float64).float())

    def apply(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) -> float32 (N, C, H, W), channels-last, on the images' device.

        Raises:
            ValueError: a mean image of another size than the images.
        """
        self.check_size(*images_NHWC.shape[1:3])
        device = images_NHWC.device
        x = images_NHWC.to(torch.float32).div_(full_scale(device))
        x.sub_(self.mean_CHW.permute(1, 2, 0).to(device))
        if self.std_C is not None:
            x.div_(self.std_C.to(device))
        return x.permute(0, 3, 1, 2)

    def at_size(self, height: int, width: int) -> Self:
        """Itself where it fits images of this size; else the mean image reduced to its mean per channel.

        Nets trained with a mean image are tested on other sizes too, for which there is none.
        """
        if self.kind == "per-channel" or tuple(self.mean_CHW.shape[1:]) == (height, width):
            return self
        mean_C11 = self.mean_CHW.double().mean((1, 2), keepdim=True).float()
        return type(self)("per-channel", mean_C11, self.std_C)

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError where images of this size cannot be normalized by this mean image."""
        size = tuple(self.mean_CHW.shape[1:])
        if self.kind == "per-pixel-mean" and size != (height, width):
            raise ValueError(f"the mean image is {size[0]}x{size[1]}, the images are {height}x{width}")

    def to_json(self) -> StoredNormalization:
        """JSON values that ``from_json`` turns back bit for bit; the channel means are for reading."""
        return {
            "kind": self.kind,
            "shape": list(self.mean_CHW.shape),
            "mean_per_channel": [round(m, 6) for m in self.mean_CHW.double().mean((1, 2)).tolist()],
            "mean_float32_base64": _encode(self.mean_CHW),
            "std_float32_base64": None if self.std_C is None else _encode(self.std_C),
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The inverse of ``to_json``.

        Raises:
            CheckpointError: a key is missing, of the wrong type, or its bytes are damaged.
        """
        try:
            return cls._parse(data)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
            raise CheckpointError(
                f"the stored normalization is damaged: {reason}.",
                hint="use another checkpoint of the run",
            ) from error

    @classmethod
    def _parse(cls, data: object) -> Self:
        if not isinstance(data, dict):
            raise TypeError(f"expected an object, found {type(data).__name__}")
        kind, shape = data["kind"], data["shape"]
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}")
        if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)):
            raise ValueError(f"shape must be three positive integers, found {shape!r}")
        mean = _decode(data["mean_float32_base64"], shape)
        encoded_std = data["std_float32_base64"]
        if (encoded_std is None) != (kind == "per-pixel-mean"):
            raise ValueError(f"kind {kind!r} does not fit its standard deviation")
        if encoded_std is None:
            return cls(cast(Kind, kind), mean)
        std = _decode(encoded_std, shape[:1])
        if not bool((std > 0).all()):
            raise ValueError("a standard deviation is not positive")
        return cls(cast(Kind, kind), mean, std)


def _sums(parts: Iterable[torch.Tensor], *, squares: bool) -> tuple[int, torch.Tensor, torch.Tensor]:
    """How many images, and their exact sum and sum of squares over N, int64 (H, W, C) each."""
    num_images, total, total_squares = 0, torch.zeros(()).long(), torch.zeros(()).long()
    for part in parts:
        for start in range(0, len(part), _CHUNK):
            # int32 holds 2048 * 255**2 and sums twice as fast as int64.
            values = part[start : start + _CHUNK].cpu().to(torch.int32)
            num_images += len(values)
            # Widened before adding: a 0-dim int64 and an int32 of more dimensions stay int32.
            total = total + values.sum(0, dtype=torch.int32).long()
            if squares:
                total_squares = total_squares + (values * values).sum(0, dtype=torch.int32).long()
    return num_images, total, total_squares


def _encode(values: torch.Tensor) -> str:
    return base64.b64encode(values.cpu().numpy().astype("<f4").tobytes()).decode("ascii")


def _decode(text: object, shape: list[int]) -> torch.Tensor:
    if not isinstance(text, str):
        raise TypeError(f"expected base64 text, found {type(text).__name__}")
    raw = base64.b64decode(text, validate=True)
    if len(raw) != 4 * math.prod(shape):
        raise ValueError(f"{counted(len(raw), 'byte')} where {shape} float32 take {4 * math.prod(shape)}")
    values = torch.from_numpy(np.frombuffer(raw, "<f4").astype(np.float32)).view(shape)
    if not bool(values.isfinite().all()):
        raise ValueError("a value is not a finite number")
    return values
