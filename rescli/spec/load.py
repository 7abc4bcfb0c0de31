"""From a preset or a file and changes to its keys to one validated RunSpec."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rescli.errors import SpecError, UnknownNameError
from rescli.files import read_file, require_plain_file
from rescli.installation import shipped
from rescli.remedy import Remedy
from rescli.spec.explain import explain
from rescli.spec.run import RunSpec
from rescli.spec.toml import Table
from rescli.stored.json_values import parse_toml

__all__ = [
    "find_preset",
    "laid",
    "lay_over",
    "load_spec",
    "parse_override",
    "parse_overrides",
    "preset_names",
    "preset_text",
    "read_preset",
    "require_start",
    "spec_from_dict",
]


_NEEDS_START = "needs_start_from"
"""Key of a preset, and of no spec: it is refused without weights to begin with."""


def preset_names() -> list[str]:
    """Names of the shipped presets, ``cifar10/resnet-20`` and so on, sorted."""
    root = shipped("presets")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))


def find_preset(name: str) -> Path:
    """The file of a shipped preset, or of a path ending in ``.toml``.

    Raises:
        UnknownNameError: no such preset; names the nearest.
        SpecError: no such file.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not os.path.isfile(path):
            require_plain_file(path, SpecError)
            raise SpecError(
                f"no such spec file: {name}", remedy=Remedy("list_presets", note="lists the shipped ones")
            )
        return path
    known = preset_names()
    if name not in known:
        raise UnknownNameError("preset", name, known, remedy=Remedy("show_preset", "NAME", "prints one"))
    return shipped("presets") / f"{name}.toml"


def preset_text(name: str) -> str:
    """The preset's file as it stands, comments included."""
    path = find_preset(name)
    try:
        return read_file(path, most=1 << 20).decode("utf-8-sig")  # some editors mark a text as UTF-8
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_preset(name: str) -> Table:
    """The preset's keys laid over those of its ``base``, if it names one.

    Raises:
        SpecError: not TOML, or the base names a base itself.
    """
    table = _read_layers(name)
    table.pop(_NEEDS_START, None)
    return table


def require_start(preset: str, overrides: Iterable[tuple[str, Any]]) -> None:
    """Refuse a recipe for fine-tuning where nothing says which weights it begins with.

    Args:
        preset: a preset or a .toml file; one with the key ``needs_start_from``, or a base that has it.
        overrides: what is laid over it.

    Raises:
        SpecError: there are no weights to begin with.
    """
    table = _read_layers(preset)
    named = [key for key, value in overrides if value is not None] + list(table)
    if table.get(_NEEDS_START) and not any(key.partition(".")[0] == "start_from" for key in named):
        raise SpecError(
            f"{preset} is a recipe for fine-tuning: it begins with the weights of a checkpoint, and none was "
            "named.",
            remedy=Remedy("start_from", preset),
            page="training.md#begin-with-trained-weights",
        )


def _read_layers(name: str) -> Table:
    table = _read_toml(name)
    base_name = table.pop("base", None)
    if base_name is None:
        return table
    if str(base_name).endswith(".toml"):
        base_name = find_preset(name).parent / base_name
    base = _read_toml(str(base_name))
    if "base" in base:
        raise SpecError(
            f"preset {name!r} has base {base_name!r}, which has a base itself; one level is allowed.",
            hint=f"write base = {base['base']!r}, and copy the lines of {base_name!r} that you need",
        )
    return _overlay(base, table)


def parse_override(pair: str) -> tuple[str, Any]:
    """``"optimizer.lr=0.05"`` -> ``("optimizer.lr", 0.05)``; values are TOML, else plain strings.

    Raises:
        SpecError: there is no ``=``.
    """
    key, equals, text = pair.partition("=")
    if not equals or not key.strip():
        raise SpecError(f"{pair!r} is not KEY=VALUE.", hint="for example optimizer.lr=0.05")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    return key.strip(), value


def parse_overrides(pairs: Iterable[str]) -> Table:
    """Several of those; of a key that is named again the last one counts, in its place.

    Raises:
        SpecError: as ``parse_override``.

    Example:
        >>> parse_overrides(["seed=1", "optimizer.lr=0.05", "seed=2"])
        {'optimizer.lr': 0.05, 'seed': 2}
    """
    table: Table = {}
    for key, value in map(parse_override, pairs):
        table.pop(key, None)
        table[key] = value
    return table


def load_spec(preset: str, overrides: Iterable[tuple[str, Any]] = ()) -> RunSpec:
    """The preset (or ``.toml`` file) with dotted-key overrides, validated once.

    Raises:
        SpecError: an unknown key or an impossible value, each with its path.
    """
    return lay_over(read_preset(preset), overrides)


def lay_over(table: Table, overrides: Iterable[tuple[str, Any]]) -> RunSpec:
    """The spec of plain values with dotted-key overrides, validated once; ``table`` is changed by them.

    Raises:
        SpecError: an unknown key or an impossible value, each with its path.
    """
    return spec_from_dict(laid(table, overrides))


def laid(table: Table, overrides: Iterable[tuple[str, Any]]) -> Table:
    """``table`` itself, changed by dotted-key overrides and not yet checked."""
    for key, value in overrides:
        _set(table, key.split("."), value)
    return table


def spec_from_dict(table: Mapping[str, Any]) -> RunSpec:
    """Validate plain values as a RunSpec, with rescli's own errors."""
    try:
        return RunSpec.model_validate(dict(table))
    except ValidationError as error:
        raise SpecError(explain(error), remedy=Remedy("show_preset", "NAME", "prints every key")) from error


def _read_toml(name: str) -> Table:
    try:
        return parse_toml(preset_text(name))
    except ValueError as error:
        raise SpecError(f"{find_preset(name)} is not TOML: {error}") from error


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _lay_section(below, value) if isinstance(value, Mapping) else value
    return merged


def _lay_section(below: Any, value: Mapping[str, Any]) -> Table:
    # Another kind has other keys: the section is replaced, not mixed.
    if not isinstance(below, Mapping) or value.get("kind", below.get("kind")) != below.get("kind"):
        return dict(value)
    return _overlay(below, value)


def _set(table: Table, path: list[str], value: Any) -> None:
    head, *rest = path
    if not rest:
        table[head] = value
        return
    below = table.get(head)
    # A section given by its kind alone, such as dataset = "shapes", opens up to hold a key.
    section = {"kind": below} if isinstance(below, str) else dict(below) if isinstance(below, Mapping) else {}
    table[head] = section
    _set(section, rest, value)
