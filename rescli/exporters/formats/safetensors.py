"""Weights and a config.json beside them, readable without rescli by ``standalone_resnet.py``."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save

from rescli.exporters.architectures import standalone_architecture
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.description import json_text
from rescli.exporters.formats.state_dicts import as_stored, labelled
from rescli.exporters.graph import network_of
from rescli.exporters.huggingface import standalone_resnet
from rescli.exporters.parity import readers
from rescli.spec.base import ModelSpec

__all__ = ["SafetensorsExporter", "standalone_state", "write_standalone"]


class SafetensorsExporter(Exporter):
    """Weights under our names, and config.json with everything else."""

    kind = "safetensors"
    suffixes = (".safetensors",)

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        if standalone_architecture(model, num_classes=1) is None:
            return (
                f"{model.name} is a plugin's network, whose weights mean nothing without that plugin; "
                "the formats onnx and torch-export hold the computation too."
            )
        return None

    def beside(self, out: Path) -> list[Path]:
        return [out.parent / "config.json"]

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        return {"beside": write_standalone(subject, path)}

    def reader(self, subject: Subject) -> list[str]:
        return [str(readers.__file__), "standalone", str(standalone_resnet.__file__)]

    def expected_tensors(self, subject: Subject) -> dict[str, torch.Tensor]:
        return standalone_state(subject)


def standalone_state(subject: Subject) -> dict[str, torch.Tensor]:
    """The weights as stored; with biases of convolutions where batch normalisation is folded."""
    if not subject.options.fold_bn:
        return as_stored(subject.checkpoint.tensors, subject.options.precision)
    return as_stored(dict(network_of(subject).net.state_dict()), subject.options.precision)


def write_standalone(subject: Subject, path: Path) -> list[str]:
    """Weights at ``path``, config.json beside; the names of the files beside."""
    path.write_bytes(save(standalone_state(subject), metadata=labelled(subject)))
    text = json_text(subject.description, indent=2)
    (path.parent / "config.json").write_text(text + "\n", encoding="utf-8")
    return ["config.json"]
