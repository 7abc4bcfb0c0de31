"""The shipped specs: their names, and one of them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.spec.base import Spec
    from rescli.spec.run import RunSpec

__all__ = ["describe_keys", "presets", "show_preset"]


@with_notes
def presets() -> dict[str, str]:
    """The names of all presets, each with the first line of its file.

    Example:
        >>> "cifar10/resnet-20" in presets()
        True
    """
    from rescli.spec.load import preset_names, preset_text

    return {name: preset_text(name).splitlines()[0].lstrip("# ") for name in preset_names()}


@with_notes
def show_preset(preset: str) -> RunSpec:
    """The whole spec of a preset, or of a ``.toml`` file, base included.

    Args:
        preset: its name, such as ``cifar10/resnet-20``, or the path of a ``.toml`` file.

    Raises:
        UnknownNameError: no such preset.
        SpecError: an unknown key, or a value that cannot work.

    Example:
        >>> show_preset("cifar10/resnet-20").iterations
        64000
    """
    from rescli.spec.load import load_spec

    return load_spec(preset)


def describe_keys(of: Spec) -> dict[str, str]:
    """Dotted key to what it means, through all sections of a spec."""
    from rescli.spec.base import Spec

    texts: dict[str, str] = {}
    for key, field in type(of).model_fields.items():
        value = getattr(of, key)
        if isinstance(value, Spec):
            texts |= {f"{key}.{inner}": text for inner, text in describe_keys(value).items()}
        elif field.description:
            texts[key] = field.description
    return texts
