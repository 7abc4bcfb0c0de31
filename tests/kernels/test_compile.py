"""The kernels compile for a GPU that is not there: Triton needs none up to the PTX.

The interpreter runs what the compiler refuses, such as a variable that changes its type in a loop.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("Triton interprets in this process", allow_module_level=True)

from triton import compile as triton_compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rescli.kernels.crop import triton_code as crop_kernels
from rescli.kernels.norm import triton_code as norm_kernels
from rescli.kernels.norm.tiles import MAX_PARTIALS, norm_launch

H100 = GPUTarget("cuda", 90, 32)
FP32_TENSORS = (
    *("means_ptr", "m2s_ptr", "mean_ptr", "rstd_ptr", "running_mean_ptr", "running_var_ptr"),
    *("weight_ptr", "bias_ptr", "sums_ptr", "products_ptr", "dweight_ptr", "dbias_ptr"),
)
TYPES = dict.fromkeys(FP32_TENSORS, "*fp32") | {"num_batches_ptr": "*i64", "eps": "fp32", "momentum": "fp32"}
DIVISIBLE = ("M", "C", "residual_channels")


@pytest.fixture(autouse=True)
def own_compilations(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled here and now, not found in the user's cache."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def ptx(kernel: Any, types: dict[str, str], constants: dict[str, Any], num_warps: int) -> str:
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    # As the launcher tells the compiler of tensors, which are aligned, and of multiples of 16.
    passed = [name for name in names if name not in constants]
    aligned = [name for name in passed if signature[name].startswith("*") or name in DIVISIBLE]
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    return str(triton_compile(source, target=H100, options={"num_warps": num_warps}).asm["ptx"])


def norm_ptx(kernel: Any, dtype: str, num_rows: int, num_channels: int, **constants: Any) -> str:
    launch = norm_launch(num_rows, num_channels)
    types = {name: f"*{dtype}" for name in kernel.arg_names if name.endswith("_ptr")} | TYPES
    given = {
        "BLOCK_ROWS": launch.block_rows,
        "BLOCK_CHANNELS": launch.block_channels,
        "MAX_PARTIALS": MAX_PARTIALS,
        **constants,
    }
    if constants.get("RESIDUAL") in ("none", "same"):
        given["residual_channels"] = 1  # the launcher makes a constant of a 1
    given = {name: value for name, value in given.items() if name in kernel.arg_names}
    return ptx(kernel, types, given, launch.num_warps)


CIFAR, IMAGENET = (128 * 32 * 32, 16), (256 * 56 * 56, 256)


@pytest.mark.parametrize(("dtype", "shape"), [("bf16", CIFAR), ("fp32", IMAGENET)])
def test_norm_forward(dtype: str, shape: tuple[int, int]) -> None:
    assert "ld.global.v4" in norm_ptx(norm_kernels.partial_statistics, dtype, *shape)
    for residual, stride in (("none", 1), ("same", 1), ("padded", 2)):
        code = norm_ptx(
            norm_kernels.normalize, dtype, *shape, RESIDUAL=residual, STRIDE=stride, RELU=residual != "none"
        )
        assert "atom." not in code
        # Roots and divisions that decide the statistics are rounded as IEEE has it.
        assert "sqrt.rn.f32" in code
        assert "div.rn.f32" in code


@pytest.mark.parametrize(("dtype", "shape"), [("bf16", CIFAR), ("fp32", IMAGENET)])
def test_norm_backward(dtype: str, shape: tuple[int, int]) -> None:
    for passes, residual, stride in (("y", "none", 1), ("z", "same", 1), ("z", "padded", 2)):
        sums = norm_ptx(norm_kernels.gradient_sums, dtype, *shape, PASSES=passes)
        gradient = norm_ptx(
            norm_kernels.input_gradient, dtype, *shape, PASSES=passes, RESIDUAL=residual, STRIDE=stride
        )
        for code in (sums, gradient):
            assert "ld.global.v4" in code
            assert "atom." not in code


@pytest.mark.parametrize("flip", [True, False])
def test_crop(flip: bool) -> None:
    types = dict.fromkeys(("labels_ptr", "indices_ptr", "slots_ptr", "batch_labels_ptr"), "*i64")
    types |= dict.fromkeys(("means_ptr", "std_ptr", "images_ptr"), "*fp32")
    types |= {"pixels_ptr": "*u8", "first_state": "i64"}
    sizes = {"HEIGHT": 32, "WIDTH": 32, "CHANNELS": 3, "PAD": 4, "BLOCK": 1024}
    code = ptx(crop_kernels.crop_flip_normalize, types, {**sizes, "FLIP": flip, "HAS_STD": True}, 4)
    # The bits of plain torch's division.
    assert "div.rn.f32" in code
    assert "div.full" not in code
