"""A labelled image set in memory, as every dataset's ``build`` returns it, one per split."""

from __future__ import annotations

from dataclasses import dataclass

import torch

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

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
