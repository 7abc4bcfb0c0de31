"""README.md of a Hugging Face folder: what the network is, how it was trained, what was measured, how."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rescli.exporters.description import Description
from rescli.foreign_text import markdown_code, markdown_text

__all__ = ["model_card"]

_DATASETS = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100", "imagenet": "ILSVRC/imagenet-1k"}
"""rescli's name -> the hub's."""


def model_card(description: Description, *, library: str) -> str:
    """Markdown with the hub's YAML header; it says nothing that the description does not.

    Args:
        description: everything about the network.
        library: timm, transformers or torch, whichever reads the folder.
    """
    environment = Environment(
        loader=PackageLoader("rescli.exporters.huggingface"),
        autoescape=False,  # Markdown, not HTML
        finalize=_escaped,  # whatever stands in {{ }}, unless the filter "code" or "raw" has seen to it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": lambda text: Markup(markdown_code(text)), "raw": Markup}
    return environment.get_template("model_card.md").render(
        d=description, library=library, hub_dataset=_DATASETS.get(description["dataset"])
    )


def _escaped(value: object) -> str:
    return value if isinstance(value, Markup) else markdown_text(value)
