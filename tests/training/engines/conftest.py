"""A recording without a GPU: the operations of a step, repeated on the tensors that they first ran on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, tree_leaves(out)))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, outs in self.calls:
            given = {_storage(value) for value in tree_leaves((args, kwargs)) if torch.is_tensor(value)}
            again = tree_leaves(func(*args, **kwargs))
            for first, second in zip(outs, again, strict=True):
                # A view, or a tensor that was changed in place, is there already.
                if torch.is_tensor(first) and first.numel() and _storage(first) not in given:
                    first.copy_(second)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class OperationCapturer:
    """As a CUDA graph: numbers of Python are frozen, tensors keep their addresses, and all are kept alive."""

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        with _Tape() as tape:
            work()
        return tape.replay


@pytest.fixture
def capturer() -> OperationCapturer:
    return OperationCapturer()
