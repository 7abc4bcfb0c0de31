"""What an exporter is: one kind of file, and the program that reads it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.exporters.choices import INPUT, OUTPUT, ExportPrecision, Quantization
from rescli.spec.base import ModelSpec

if TYPE_CHECKING:
    from rescli.exporters.description import Description

__all__ = ["Exporter", "FormatFacts", "Options", "Subject"]

FormatFacts: TypeAlias = dict[str, "str | int | list[str]"]
"""What an exporter tells people about its file, such as ``{"opset": 13}``."""


@dataclass(frozen=True)
class Options:
    """How the network is written.

    Args:
        precision: what weights and convolutions are in; inputs and logits are float32 whatever it is.
        fold_bn: each batch normalisation becomes a part of the convolution before it.
        with_preprocessing: the input is uint8 images (N, H, W, 3) as they are; else normalised (N, 3, H, W).
        quantization: how int8 finds the range of activations: ``static`` measures them on calibration
            images, ``dynamic`` anew in each forward pass.
        opset: ONNX's operator set; None for the oldest that can hold the network.
        batch_size: images of every forward pass; None where that stays free.
        input_name: what a graph calls its input.
        output_name: what a graph calls its output.
    """

    precision: ExportPrecision = "fp32"
    fold_bn: bool = False
    with_preprocessing: bool = False
    quantization: Quantization = "static"
    opset: int | None = None
    batch_size: int | None = None
    input_name: str = INPUT
    output_name: str = OUTPUT


def _not_counted(_unit: str) -> Callable[[int, int], None]:
    return lambda _done, _all: None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is exported.

    Args:
        checkpoint: the trained network.
        options: how it is written.
        description: everything that a reader needs to use the network, as JSON values.
        calibration: makes the inputs of a static quantization, as the exported network takes them.
        num_calibration: images that it is made of.
        may_calibrate_on_more: whether the set may have more of them than were asked for.
        counting: makes a function to call with (images done, all images) of what is counted.
    """

    checkpoint: Checkpoint
    options: Options
    description: Description
    calibration: Callable[[], Sequence[torch.Tensor]]
    num_calibration: int = 0
    may_calibrate_on_more: bool = False
    counting: Callable[[str], Callable[[int, int], None]] = _not_counted


class Exporter(ABC):
    """A kind of file. Group ``rescli.exporters``; made without arguments."""

    kind: ClassVar[str]
    """The name under which the class is registered."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the file; empty where it is a folder."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What writing and checking import, beyond what rescli depends on."""
    extra: ClassVar[str | None] = None
    """The extra of rescli that installs them."""
    precisions: ClassVar[tuple[ExportPrecision, ...]] = ("fp32", "fp16", "bf16")
    is_graph: ClassVar[bool] = False
    """Whether the file holds the computation and not only weights, so that it can hold preprocessing."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Fields of ``Options`` that not every format has and this one does: ``opset``, ``batch_size``,
    ``input_name``, ``output_name``."""

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        """A sentence that says why such a network cannot be written so; None where it can."""
        return None

    def needed(self, model: ModelSpec) -> tuple[str, ...]:
        """The packages that this network needs."""
        return self.packages

    def beside(self, out: Path) -> list[Path]:
        """Files that ``write`` puts beside ``out``; what stands there is not overwritten."""
        return []

    @abstractmethod
    def write(self, subject: Subject, path: Path) -> FormatFacts:
        """Write ``path``, in a folder of its own; other files may go beside it.

        Returns:
            Facts for people, such as ``{"opset": 13}``.

        Raises:
            UsageError: the network cannot be written so.
        """

    @abstractmethod
    def reader(self, subject: Subject) -> list[str]:
        """Arguments for the Python interpreter that read the file back.

        Returns:
            A script and what it takes first; the paths of the file, the inputs and the outputs are appended,
            as ``readers.py`` has it.
        """

    def expected_tensors(self, subject: Subject) -> dict[str, torch.Tensor] | None:
        """The weights that the reader's network must hold, under its names; None where it has others."""
        return None
