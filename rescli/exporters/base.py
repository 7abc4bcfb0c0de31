"""What an exporter is: one kind of file, and the program that reads it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.spec.base import ModelSpec

__all__ = ["PRECISIONS", "Exporter", "Options", "Precision", "Subject"]

Precision = Literal["fp32", "fp16", "bf16", "int8"]

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class Options:
    """How the network is written.

    precision: of weights and convolutions; inputs and logits are float32 whatever it is.
    fold_bn: each batch normalisation becomes a part of the convolution before it.
    with_preprocessing: the input is uint8 images (N, H, W, 3) as they are; else normalised (N, 3, H, W).
    quantization: of int8: ``static`` measures activations on calibration images, ``dynamic`` measures
        them anew in each forward pass.
    """

    precision: Precision = "fp32"
    fold_bn: bool = False
    with_preprocessing: bool = False
    quantization: Literal["static", "dynamic"] = "static"


@dataclass(frozen=True, eq=False)
class Subject:
    """What is exported.

    description: everything that a reader needs to use the network, as JSON values.
    calibration: makes the inputs of a static quantization, as the exported network takes them.
    """

    checkpoint: Checkpoint
    options: Options
    description: dict[str, Any]
    calibration: Callable[[], Sequence[torch.Tensor]]


class Exporter(ABC):
    """A kind of file. Group ``rescli.exporters``; made without arguments."""

    kind: ClassVar[str]
    """The name under which the class is registered."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of the file; empty where it is a folder."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What writing and checking import, beyond what rescli depends on."""
    extra: ClassVar[str | None] = None
    """The extra of rescli that installs them."""
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "bf16")
    is_graph: ClassVar[bool] = False
    """Whether the file holds the computation and not only weights, so that it can hold preprocessing."""

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        """Why such a network cannot be written so, as a sentence, where it cannot; else None."""
        return None

    def needed(self, model: ModelSpec) -> tuple[str, ...]:
        """The packages that this network needs."""
        return self.packages

    @abstractmethod
    def write(self, subject: Subject, path: Path) -> dict[str, Any]:
        """Write ``path``, in a folder of its own; other files may go beside it.

        Returns:
            Facts for people, such as ``{"opset": 20}``.

        Raises:
            UsageError: the network cannot be written so.
        """

    @abstractmethod
    def reader(self, subject: Subject) -> list[str]:
        """Arguments for the interpreter that read the file back: a script, what it takes, and then the
        path of the file, of the inputs and of the outputs, as ``readers.py`` has it."""

    def expected_tensors(self, subject: Subject) -> dict[str, torch.Tensor] | None:
        """The weights that the reader's network must hold, under its names; None where it has others."""
        return None
