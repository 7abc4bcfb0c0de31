"""What is compiled before torch is there is what a training in that precision loads."""

from __future__ import annotations

import pytest
import torch

from rescli.kernels.c_compiler import NoCompiler, compile_native
from rescli.kernels.choice import self_test
from rescli.kernels.conv import choice as conv_choice
from rescli.kernels.conv import native as conv_native
from rescli.kernels.conv.choice import choose_convolutions
from rescli.kernels.libraries import LIBRARIES
from rescli.kernels.norm import native as norm_native
from rescli.kernels.winograd import native as winograd_native

try:
    compile_native("norm")
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def test_it_is_known_of_each_precision_of_the_cpu() -> None:
    assert LIBRARIES.keys() == DTYPES.keys()


@pytest.mark.parametrize("precision", DTYPES)
def test_these_are_loaded_to_choose_kernels(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = set()

    def noting(*library: str) -> object:
        loaded.add(library)
        return compile_native(*library)

    for module in (conv_native, norm_native, winograd_native):
        monkeypatch.setattr(module, "compile_native", noting)
    caches = (
        norm_native.load_norm_native,
        conv_native.load_conv_native,
        winograd_native.load_winograd,
        conv_choice._why_not,
    )
    for cached in caches:
        cached.cache_clear()
    assert self_test("native", "cpu", [DTYPES[precision]]) is None
    choose_convolutions(DTYPES[precision])
    for cached in caches:
        cached.cache_clear()
    assert loaded == set(LIBRARIES[precision])
