"""A folder as the Hugging Face hub has them: config.json, model.safetensors and a model card.

timm's form where timm has the network (transformers reads it too, through timm), transformers' own where only
that has it (the paper's bottlenecks), else ``standalone_resnet.py`` beside the weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import JsonValue
from safetensors.torch import save

from rescli.evaluation.protocols import default_protocol
from rescli.exporters.architectures import (
    standalone_architecture,
    torchvision_name,
    transformers_config,
    transformers_state,
)
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.description import json_text
from rescli.exporters.formats.safetensors import standalone_state, write_standalone
from rescli.exporters.formats.state_dicts import as_stored, labelled
from rescli.exporters.huggingface import standalone_resnet
from rescli.exporters.huggingface.model_card import model_card
from rescli.exporters.parity import readers
from rescli.spec.base import ModelSpec

__all__ = ["HuggingFaceExporter"]

_WEIGHTS = "model.safetensors"


class HuggingFaceExporter(Exporter):
    """A folder; the check reads it through the library that the card names."""

    kind = "huggingface"
    suffixes = ()
    extra = "huggingface"

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        if standalone_architecture(model, num_classes=1) is None:
            return f"{model.name} is a plugin's network, which no library that reads such folders has."
        if options.fold_bn and _library(model) != "torch":
            return (
                f"{_library(model)}'s network has its batch normalisations; without them no weights fit it."
            )
        return None

    def needed(self, model: ModelSpec) -> tuple[str, ...]:
        library = _library(model)
        return () if library == "torch" else (library,)

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        path.mkdir()
        library = _library(subject.checkpoint.model)
        if library == "torch":
            write_standalone(subject, path / _WEIGHTS)
            shutil.copyfile(str(standalone_resnet.__file__), path / "standalone_resnet.py")
        else:
            (path / _WEIGHTS).write_bytes(save(self.expected_tensors(subject), metadata=labelled(subject)))
            config = _timm_config(subject) if library == "timm" else _transformers_config(subject)
            _write_json(path / "config.json", {**config, "rescli": subject.description})
        if library == "transformers":
            _write_json(path / "preprocessor_config.json", _image_processor(subject))
        (path / "README.md").write_text(model_card(subject.description, library=library), encoding="utf-8")
        return {"library": library}

    def reader(self, subject: Subject) -> list[str]:
        library = _library(subject.checkpoint.model)
        if library == "torch":
            return [str(readers.__file__), "standalone-folder", str(standalone_resnet.__file__)]
        return [str(readers.__file__), f"{library}-folder"]

    def expected_tensors(self, subject: Subject) -> dict[str, torch.Tensor]:
        library = _library(subject.checkpoint.model)
        if library == "torch":
            return standalone_state(subject)
        state = as_stored(subject.checkpoint.tensors, subject.options.precision)
        return state if library == "timm" else transformers_state(state)


def _library(model: ModelSpec) -> str:
    """What reads the folder: timm, transformers, or plain torch."""
    if torchvision_name(model):
        return "timm"
    return "transformers" if transformers_config(model) else "torch"


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json_text(value, indent=2) + "\n", encoding="utf-8")


def _channels(subject: Subject) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, which is what these libraries know.

    A mean image is averaged to three numbers; the card says so, and the whole image is in the ``rescli`` part
    of the config.
    """
    normalization = subject.checkpoint.normalization
    mean = normalization.mean_CHW.double().mean((1, 2)).tolist()
    std = [1.0] * 3 if normalization.std_C is None else normalization.std_C.double().tolist()
    return [round(m, 7) for m in mean], [round(s, 7) for s in std]


def _crop_pct(subject: Subject) -> float:
    """Side of the centre that the net sees, as a share of the shorter side that a picture is resized to."""
    dataset = subject.checkpoint.dataset
    sides = default_protocol(dataset).views(dataset).shorter_sides
    return dataset.image_size / sides[0] if sides else 1.0


def _timm_config(subject: Subject) -> dict[str, JsonValue]:
    checkpoint = subject.checkpoint
    size = checkpoint.dataset.image_size
    mean, std = _channels(subject)
    names = list(checkpoint.class_names)
    return {
        "architecture": torchvision_name(checkpoint.model),
        "num_classes": len(names),
        "label_names": [*names],
        "pretrained_cfg": {
            "tag": "rescli",
            "input_size": [3, size, size],
            "interpolation": "bilinear",
            "crop_pct": _crop_pct(subject),
            "crop_mode": "center",
            "mean": [*mean],
            "std": [*std],
            "num_classes": len(names),
            "first_conv": "conv1",
            "classifier": "fc",
        },
    }


def _transformers_config(subject: Subject) -> dict[str, JsonValue]:
    names = subject.checkpoint.class_names
    return {
        **(transformers_config(subject.checkpoint.model) or {}),
        "id2label": {str(label): name for label, name in enumerate(names)},
        "label2id": {name: label for label, name in enumerate(names)},
    }


def _image_processor(subject: Subject) -> dict[str, JsonValue]:
    """Shorter side 224 / crop_pct, bilinear, then the 224x224 centre: transformers' name for it."""
    mean, std = _channels(subject)
    size = subject.checkpoint.dataset.image_size
    return {
        "image_processor_type": "ConvNextImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": size},
        "crop_pct": _crop_pct(subject),
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [*mean],
        "image_std": [*std],
    }
