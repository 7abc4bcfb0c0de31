"""Weights for networks that torchvision and timm have themselves."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from safetensors.torch import save

from rescli.exporters.architectures import torchvision_name, transformers_config, why_not_torchvision
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.description import json_text
from rescli.exporters.parity import readers
from rescli.spec.base import ModelSpec

__all__ = ["TimmExporter", "TorchvisionExporter", "as_stored", "labelled"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def as_stored(tensors: dict[str, torch.Tensor], precision: str) -> dict[str, torch.Tensor]:
    """Floating-point tensors in that precision; counters stay."""
    return {
        name: (tensor.to(_DTYPES[precision]) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in tensors.items()
    }


def labelled(subject: Subject) -> dict[str, str]:
    """The metadata of a .safetensors file: whose tensors they are, and the class names as a JSON list."""
    return {"format": "pt", "class_names": json_text(subject.description["class_names"])}


class _StateDictExporter(Exporter):
    suffixes = (".safetensors", ".pth")

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        if reason := why_not_torchvision(model):
            other = (
                "; the format huggingface writes it for transformers" if transformers_config(model) else ""
            )
            return f"{self.kind} does not have this network: {reason}{other}."
        if options.fold_bn:
            return f"{self.kind}'s network has its batch normalisations; without them no weights fit it."
        return None

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        state = as_stored(subject.checkpoint.tensors, subject.options.precision)
        if path.suffix == ".safetensors":
            path.write_bytes(save(state, metadata=labelled(subject)))
        else:
            # Written by Python: torch and safetensors say of a full disk what nobody could tell from a bug.
            written = io.BytesIO()
            torch.save(state, written)
            path.write_bytes(written.getbuffer())
        return {"network": f"{self.kind} {torchvision_name(subject.checkpoint.model)}"}

    def reader(self, subject: Subject) -> list[str]:
        checkpoint = subject.checkpoint
        name = torchvision_name(checkpoint.model) or ""
        return [str(readers.__file__), self.kind, name, str(len(checkpoint.class_names))]

    def expected_tensors(self, subject: Subject) -> dict[str, torch.Tensor]:
        return as_stored(subject.checkpoint.tensors, subject.options.precision)


class TorchvisionExporter(_StateDictExporter):
    """A state dict that ``torchvision.models.resnet50().load_state_dict`` takes."""

    kind = "torchvision"


class TimmExporter(_StateDictExporter):
    """A state dict that ``timm.create_model("resnet50").load_state_dict`` takes."""

    kind = "timm"
    packages = ("timm",)
    extra = "timm"
