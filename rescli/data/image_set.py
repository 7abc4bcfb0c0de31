"""A labelled image set in memory, as every dataset's ``build`` returns it, one per split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import torch
from PIL import Image

from rescli.data.labelled_images import LabelledImages
from rescli.data.split import split_fingerprint

__all__ = ["ImageSet"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageSet(LabelledImages):
    """Images and labels of one split.

    Args:
        images_NHWC: uint8 (N, H, W, 3), contiguous, on the CPU.
        labels_N: int64 (N,), each in [0, num_classes).
        class_names: one per class, in label order.
        fingerprint: sha256 hex digest of the split: which images, in which order.
        file_names: one per image where the set's authors gave names; else empty.
    """

    images_NHWC: torch.Tensor
    labels_N: torch.Tensor
    class_names: tuple[str, ...]
    fingerprint: str
    file_names: tuple[str, ...] = ()

    def subset(self, indices_N: torch.Tensor) -> Self:
        """Some of the images, with a fingerprint of their own."""
        return replace(
            self,
            images_NHWC=self.images_NHWC[indices_N],
            labels_N=self.labels_N[indices_N],
            fingerprint=split_fingerprint([self.fingerprint], indices_N),
            file_names=tuple(self.file_names[index] for index in indices_N.tolist())
            if self.file_names
            else (),
        )

    @property
    def stacked(self) -> torch.Tensor:
        return self.images_NHWC

    def name(self, index: int) -> str:
        """``an image``: images in memory have no name that says where they are."""
        return "an image"

    def pixels(self, index: int) -> torch.Tensor:
        return self.images_NHWC[index]

    def map(self, prepare: Callable[[int, Image.Image], T], *, threads: int) -> Iterator[T]:
        for index in range(len(self)):
            yield prepare(index, self.image(index))
