"""A labelled image set in memory, as every dataset's ``build`` returns it, one per split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch

from rescli.data.split import split_fingerprint

__all__ = ["ImageSet"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and labels of one split.

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

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
