"""Which kernels work here, and which functions nets and loaders call: theirs, or plain torch.

======  =====================================================  ========================
name    what runs                                              needs
======  =====================================================  ========================
triton  ``norm_act_triton``, ``crop_flip_batch_triton``        CUDA, Triton
native  ``norm_act_native``, and the convolutions that         a CPU, a C compiler
        ``choose_convolutions`` finds fastest
plain   ``norm_act``, ``crop_flip_batch``                      nothing
======  =====================================================  ========================
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from rescli import paper
from rescli.errors import first_line
from rescli.kernels.c_compiler import NoCompiler
from rescli.kernels.conv.choice import CONV_CLASSES, TORCH, Convolutions, compare_convolutions
from rescli.kernels.crop.plain import CropFlipBatch, PaddedImages, crop_flip_batch
from rescli.kernels.norm.native import load_norm_native, norm_act_native
from rescli.kernels.norm.plain import NormAct, norm_act
from rescli.plurals import counted

__all__ = ["KernelName", "crop_flip_function", "self_test", "use_kernels"]

KernelName = Literal["triton", "native", "plain"]

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-2, torch.float16: 2e-3}
"""Largest error, as a share of the largest value of each compared tensor: a few roundings of its type."""


def use_kernels(model: nn.Module, kernels: KernelName, convolutions: Convolutions = TORCH) -> None:
    """Let every block of the net that calls ``norm_act`` call that of the kernels, or its own again.

    Args:
        model: a net on any device; where the kernels cannot work, a call falls back to plain torch.
        kernels: which to use.
        convolutions: what the block's convolutions are to be computed by.

    Raises:
        RuntimeError: there is no Triton; ``self_test`` says so beforehand.
    """
    function = _norm_act(kernels)
    for module in model.modules():
        # Another module's attribute of that name is its own affair.
        if getattr(type(module), "norm_act", None) is not norm_act:
            continue
        if function is norm_act:
            module.__dict__.pop("norm_act", None)
        else:
            module.norm_act = function  # type: ignore[assignment]
        for conv in module.children():
            if type(conv) in CONV_CLASSES.values():
                conv.__class__ = CONV_CLASSES[convolutions.name]


def crop_flip_function(kernels: KernelName) -> CropFlipBatch:
    """The function that draws a batch: one kernel, or plain torch, with the same bits.

    Raises:
        RuntimeError: there is no Triton.
    """
    if kernels != "triton":
        return crop_flip_batch
    function: CropFlipBatch = _triton("crop").crop_flip_batch_triton
    return function


def self_test(
    kernels: KernelName,
    device: torch.device | str,
    dtypes: Sequence[torch.dtype] = (torch.float32, torch.bfloat16),
) -> str | None:
    """Why the kernels are not to be used on this device, in a few words; None where they are right.

    Compares each of them with plain torch on small random maps. Never raises; leaves torch's random
    state as it was. The first call on a machine also compiles, which is kept in the user's cache.

    Args:
        kernels: which to try.
        device: where they are to run.
        dtypes: types of the maps between convolutions; only those that the run will use need compiling.
    """
    if kernels == "plain":
        return None
    try:
        obstacle = _unfit(kernels, torch.device(device), dtypes)
        if obstacle is not None:
            return obstacle
        cases = [(dtype, form) for dtype in dtypes for form in ("none", "same", "padded")]
        found = (_compare_norm(kernels, device, dtype, form) for dtype, form in cases)
        if kernels == "triton":
            other = _compare_crop(device)
        else:
            other = compare_convolutions(dtypes, _TOLERANCE[torch.float32])
        return other or next(filter(None, found), None)
    except Exception as error:  # whatever a compiler, a driver or a missing gcc may throw
        kind, said = type(error).__name__, first_line(error)
        return said if said == kind else f"{kind}: {said}"


def _norm_act(kernels: KernelName) -> NormAct:
    if kernels == "native":
        return norm_act_native
    if kernels == "plain":
        return norm_act
    function: NormAct = _triton("norm").norm_act_triton
    return function


def _triton(kernel: str) -> ModuleType:
    """The module of a kernel, imported where it is used: not where there is no GPU.

    Raises:
        RuntimeError: there is no Triton.
    """
    try:
        if kernel == "crop":
            from rescli.kernels.crop import triton as crop_triton

            return crop_triton
        from rescli.kernels.norm import triton as norm_triton
    except ImportError as error:
        why = "Triton is not installed" if error.name == "triton" else f"no Triton: {error}"
        raise RuntimeError(why) from error
    return norm_triton


def _unfit(kernels: KernelName, device: torch.device, dtypes: Sequence[torch.dtype]) -> str | None:
    needed = "cpu"
    if kernels == "triton":
        try:
            needed = "cpu" if _triton("norm").INTERPRETED else "cuda"
        except RuntimeError as error:
            return str(error)
    if device.type != needed:
        return f"the kernels run on {needed}, not on {device.type}"
    if kernels == "native":
        try:
            for dtype in dtypes:
                load_norm_native(dtype)
        except NoCompiler as error:
            return str(error)
    return None


def _compare_crop(device: torch.device | str) -> str | None:
    """Why the crop kernel is wrong at the sizes of CIFAR; None where it is right."""
    size, pad, num_images = (32, 32, 3), paper.PAD, 4
    random = torch.Generator().manual_seed(0)
    padded = torch.randint(0, 256, (num_images + 1, 40, 40, 3), dtype=torch.uint8, generator=random)
    images = PaddedImages(
        windows=padded.to(device).as_strided((num_images * 40 * 40, 32, 32 * 3), (3, 40 * 3, 1)),
        means=torch.rand((2 * 9 * 9, 32 * 32 * 3), generator=random).to(device),
        std=None,
        size=size,
        pad=pad,
    )
    labels, slots = torch.arange(num_images, device=device), torch.arange(16, device=device)
    given = (images, labels, slots % num_images, slots)
    expected = crop_flip_batch(*given, key=0, flip=True)
    found = _triton("crop").crop_flip_batch_triton(*given, key=0, flip=True)
    wrong = sum(int((right != other).sum()) for right, other in zip(expected, found, strict=True))
    return f"crop_flip_batch differs from plain torch in {counted(wrong, 'value')}" if wrong else None


def _compare_norm(
    kernels: KernelName, device: torch.device | str, dtype: torch.dtype, form: str
) -> str | None:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=random).to(device, dtype)
        return values.contiguous(memory_format=torch.channels_last)

    channels = 32 if form == "padded" else 16
    y, dz = draw(4, channels, 16, 16), draw(4, channels, 16, 16)
    residual, stride = None, 1
    if form == "same":
        residual = draw(4, 16, 16, 16)
    elif form == "padded":
        residual, stride = draw(4, 16, 32, 32), 2
    bn = nn.BatchNorm2d(channels)
    with torch.no_grad():
        bn.weight.uniform_(0.5, 1.5, generator=random)
        bn.bias.normal_(0, 0.5, generator=random)
        bn.to(device)
        near = norm_act(
            copy.deepcopy(bn), y.float(), _float(residual), residual_stride=stride, relu=False
        ).abs()
    # No gradient where rounding alone decides what the ReLU lets through.
    dz *= near > 1e-3

    def run(function: NormAct, y: Tensor, residual: Tensor | None) -> dict[str, Tensor]:
        own = copy.deepcopy(bn)
        inputs = {"y": y, "residual": residual}
        leaves = {name: x.detach().requires_grad_() for name, x in inputs.items() if x is not None}
        z = function(own, leaves["y"], leaves.get("residual"), residual_stride=stride)
        wanted = {**leaves, **dict(own.named_parameters())}
        # A sum of products hands dz itself to the backward pass; torch would import sympy to look at its
        # shape, were it given.
        gradients = torch.autograd.grad((z * dz.to(z.dtype)).sum(), list(wanted.values()))
        named = zip((f"gradient of {name}" for name in wanted), gradients, strict=True)
        return {"output": z.detach(), **dict(named), **dict(own.named_buffers())}

    # Plain torch in fp32, whatever the type: in bf16 it rounds oftener than the kernels.
    expected = run(norm_act, y.float(), _float(residual))
    found = run(_norm_act(kernels), y, residual)
    for name, right in expected.items():
        error = float((found[name].double() - right.double()).abs().max() / right.double().abs().max())
        if not error <= _TOLERANCE[dtype]:
            kind = str(dtype).removeprefix("torch.")
            return f"norm_act in {kind} differs from plain torch by {error:.1e} in {name} (shortcut: {form})"
    return None


def _float(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.float()
