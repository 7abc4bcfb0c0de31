"""Whose fault an exception is: read off the modules that it came through."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from rescli.errors import DataError, UsageError
from rescli.models.failure import naming_failed_module


class Raising(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise self.error


class Misshapen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(images)
        return logits


class Parsing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        json.loads("{")
        return images


IMAGES = torch.zeros(1, 3, 4, 4)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (Raising(ValueError("gate closed\nand more")), "Raising raised ValueError: gate closed"),
        (Raising(KeyError()), "Raising raised KeyError: KeyError"),
        (Misshapen(), "Misshapen raised RuntimeError: mat1 and mat2"),
        (Parsing(), "Parsing raised JSONDecodeError: Expecting property name"),
        (nn.Sequential(nn.Identity(), Misshapen()), "Misshapen raised RuntimeError"),
    ],
)
def test_the_innermost_foreign_module_is_named(module: nn.Module, says: str) -> None:
    with pytest.raises(UsageError) as caught, naming_failed_module("net-8"):
        module(IMAGES)
    assert str(caught.value).startswith("the network net-8 failed: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("in forward, test_failure.py:")


def test_what_is_not_a_plugins_fault_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), naming_failed_module("net-8"):
        nn.Sequential(nn.Flatten(), nn.Linear(5, 2))(IMAGES)
    with pytest.raises(DataError, match="an image"), naming_failed_module("net-8"):
        Raising(DataError("an image is gone"))(IMAGES)
