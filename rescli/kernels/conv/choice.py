"""What computes the convolutions of a training step on the CPU: torch, or C where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from rescli.kernels.c_compiler import NoCompiler
from rescli.kernels.conv.module import Conv2dNative, Conv2dWinograd
from rescli.kernels.conv.native import load_conv_native, weight_gradient_native
from rescli.kernels.winograd.native import (
    convolve_winograd,
    input_gradient_winograd,
    load_winograd,
    weight_gradient_winograd,
)

__all__ = [
    "CONV_CLASSES",
    "TORCH",
    "ConvolutionName",
    "Convolutions",
    "choose_convolutions",
    "compare_convolutions",
]

ConvolutionName = Literal["winograd", "native", "torch"]

CONV_CLASSES: dict[str, type[nn.Conv2d]] = {
    "winograd": Conv2dWinograd,
    "native": Conv2dNative,
    "torch": nn.Conv2d,
}


@dataclass(frozen=True)
class Convolutions:
    """What computes the 3x3 convolutions of a training step, for the record.

    Attributes:
        name: ``winograd``, all of a convolution in fp32; ``native``, the weight's gradient in bf16; or
            ``torch``.
        why_torch: what torch computes, and why, for a person; None where nothing was to be chosen.
    """

    name: ConvolutionName
    why_torch: str | None = None

    @property
    def forward(self) -> str:
        return "winograd" if self.name == "winograd" else "torch"

    @property
    def input_gradient(self) -> str:
        return self.forward

    @property
    def weight_gradient(self) -> str:
        return self.name


TORCH = Convolutions("torch")

_OTHERS = {
    "winograd": "torch computes those of another size or stride, of channels that are no multiple of 16 or "
    "more than 512, and the weight's gradient of more than 256",
    "native": "torch computes the forward pass and the input's gradient: in bf16 there is no other kernel",
}


def choose_convolutions(dtype: torch.dtype, repeat: str | None = None) -> Convolutions:
    """The fastest of this machine for maps of this type; or, to go on with a run, those that it had.

    Args:
        repeat: the name that the run was recorded with; None for the fastest.
    """
    fastest: ConvolutionName = "winograd" if dtype is torch.float32 else "native"
    if repeat is not None and repeat != fastest:
        return Convolutions("torch", "the run began with them")
    obstacle = _why_not(fastest)
    return (
        Convolutions("torch", obstacle) if obstacle is not None else Convolutions(fastest, _OTHERS[fastest])
    )


@cache
def _why_not(name: str) -> str | None:
    """What keeps them from this machine, in a few words; None where they work."""
    try:
        load_winograd() if name == "winograd" else load_conv_native()
    except NoCompiler as error:  # or a processor that has no use for it
        return str(error)
    return None


def compare_convolutions(dtypes: Sequence[torch.dtype], tolerance: float) -> str | None:
    """Why those that work here differ from plain torch on small random maps; None where they do not.

    Args:
        tolerance: largest error, as a share of the largest value.
    """
    compared: list[tuple[str, Tensor, Tensor]] = []
    if torch.bfloat16 in dtypes and _why_not("native") is None:
        for stride in (1, 2):
            x, dy = _draw((4, 16, 8, 8)).bfloat16(), _draw((4, 32, 8 // stride, 8 // stride)).bfloat16()
            right = conv2d_weight(x.float(), (32, 16, 3, 3), dy.float(), stride, 1)  # type: ignore[no-untyped-call]
            found = weight_gradient_native(x, dy, stride=stride)
            compared.append((f"a convolution's gradient in bf16 (stride {stride})", found, right))
    if torch.float32 in dtypes and _why_not("winograd") is None:
        # Two groups of tiles, and tiles beyond the edge.
        x, dy, weight = _draw((5, 16, 10, 9)), _draw((5, 32, 10, 9)), _draw((32, 16, 3, 3))
        given = torch.conv2d(x, weight, padding=1)
        compared += [
            ("a convolution in fp32", convolve_winograd(x, weight), given),
            (
                "a convolution's input gradient in fp32",
                input_gradient_winograd(dy, weight),
                conv2d_input(x.shape, weight, dy, 1, 1),  # type: ignore[no-untyped-call]
            ),
            (
                "a convolution's weight gradient in fp32",
                weight_gradient_winograd(x, dy),
                conv2d_weight(x, weight.shape, dy, 1, 1),  # type: ignore[no-untyped-call]
            ),
        ]
    for what, found, right in compared:
        error = float((found - right).abs().max() / right.abs().max())
        if not error <= tolerance:
            return f"{what} differs from plain torch by {error:.1e}"
    return None


def _draw(shape: tuple[int, ...]) -> Tensor:
    random = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=random).contiguous(memory_format=torch.channels_last)
