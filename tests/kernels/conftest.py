"""Where the kernels' tests run: on CUDA, or without any GPU in Triton's interpreter.

The interpreter must be chosen before Triton is first imported and would change what other tests import,
so it has a process of its own: test_interpreter.py starts it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes


@pytest.fixture(scope="session")
def device() -> torch.device:
    """On which the kernels run in this process; their modules are skipped where they run on none."""
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


class _Counted:
    """A kernel that notes its launches."""

    def __init__(self, name: str, kernel: Any, launched: Counter[str]) -> None:
        self.name, self.kernel, self.launched = name, kernel, launched

    def __getitem__(self, grid: Any) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self.launched[self.name] += 1
            # What the interpreter itself does with torch is not a test's business.
            with _disable_current_modes():
                self.kernel[grid](*args, **options)

        return launch


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kernel has been launched."""
    from rescli.kernels import crop_kernels, norm_kernels

    launched: Counter[str] = Counter()
    for module in (crop_kernels, norm_kernels):
        for name in module.__all__:
            monkeypatch.setattr(module, name, _Counted(name, getattr(module, name), launched))
    return launched
