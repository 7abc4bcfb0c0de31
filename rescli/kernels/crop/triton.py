"""``crop_flip_batch`` as one kernel, bit for bit. Needs Triton."""

from __future__ import annotations

import torch
import triton

from rescli.kernels.crop import triton_code as crop_kernels
from rescli.kernels.crop.plain import PaddedImages, crop_flip_batch
from rescli.kernels.splitmix import first_state

__all__ = ["INTERPRETED", "crop_flip_batch_triton"]

INTERPRETED = not isinstance(crop_kernels.crop_flip_normalize, triton.JITFunction)
"""As ``norm_triton.INTERPRETED``."""

_BLOCK = 1024
"""Values of a program: three programs for an image of 32 x 32 x 3, none of their threads idle."""


def crop_flip_batch_triton(
    images: PaddedImages,
    labels_N: torch.Tensor,
    indices_B: torch.Tensor,
    slots_B: torch.Tensor,
    *,
    key: int,
    flip: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``crop_flip_batch``; by plain torch for a set that is not on CUDA."""
    if images.windows.device.type != ("cpu" if INTERPRETED else "cuda") or len(indices_B) == 0:
        return crop_flip_batch(images, labels_N, indices_B, slots_B, key=key, flip=flip)
    height, width, channels = images.size
    row = height * width * channels
    device = images.windows.device
    batch = torch.empty((len(indices_B), height, width, channels), dtype=torch.float32, device=device)
    labels_B = torch.empty((len(indices_B),), dtype=torch.int64, device=device)
    with torch.cuda.device_of(images.windows):  # type: ignore[no-untyped-call]
        crop_kernels.crop_flip_normalize[(len(indices_B), triton.cdiv(row, _BLOCK))](
            images.windows,
            images.means,
            images.means if images.std is None else images.std,
            labels_N,
            indices_B.contiguous(),
            slots_B.contiguous(),
            batch,
            labels_B,
            first_state(key),
            HEIGHT=height,
            WIDTH=width,
            CHANNELS=channels,
            PAD=images.pad,
            FLIP=flip,
            HAS_STD=images.std is not None,
            BLOCK=_BLOCK,
        )
    return batch.permute(0, 3, 1, 2), labels_B
