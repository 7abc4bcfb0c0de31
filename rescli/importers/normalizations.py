"""The normalisations that published weights were trained with, by name. Nothing else can be imported:
weights judged on images that were normalised in another way give a number that is silently wrong."""

from __future__ import annotations

import torch

from rescli.data.normalization import Normalization
from rescli.errors import UnknownNameError

__all__ = ["NORMALIZATIONS", "named_normalization"]

_Channels = tuple[float, float, float]

NORMALIZATIONS: dict[str, tuple[_Channels, _Channels]] = {
    # Also used for CIFAR by code that descends from the ImageNet example of PyTorch.
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Mean and standard deviation of all pixels of the 50000 training images.
    "cifar10-channels": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    # The same, rounded to a tenth of a pixel value from 0 to 255: fb.resnet.torch, pycls.
    "cifar10-channels-255": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
    # The same means with the average of each image's own standard deviation: in many tutorials.
    "cifar10-image-std": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100-channels": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    # Pixels in [-1, 1].
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # Pixels in [0, 1].
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Name to (mean, standard deviation) of red, green and blue, in units of pixel / 255."""


def named_normalization(name: str) -> Normalization:
    """The normalisation of that name.

    Raises:
        UnknownNameError: no normalisation has it.
    """
    if name not in NORMALIZATIONS:
        raise UnknownNameError("normalization", name, NORMALIZATIONS)
    mean, std = NORMALIZATIONS[name]
    return Normalization("per-channel", torch.tensor(mean).view(3, 1, 1), torch.tensor(std))
