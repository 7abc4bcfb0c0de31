"""README.md of a Hugging Face folder: what the network is, how it was trained, what was measured, how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["model_card"]

_DATASETS = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100", "imagenet": "ILSVRC/imagenet-1k"}
"""rescli's name -> the hub's."""


def model_card(description: Mapping[str, Any], *, library: str) -> str:
    """Markdown with the hub's YAML header. Nothing stands in it that is not in the description.

    library: timm, transformers or torch, whichever reads the folder.
    """
    environment = Environment(
        loader=PackageLoader("rescli.exporters.huggingface", "."),
        autoescape=False,  # Markdown, not HTML; names are quoted where they stand in the header
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md").render(
        d=description, library=library, hub_dataset=_DATASETS.get(description["dataset"])
    )
