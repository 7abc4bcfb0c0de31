"""The page ``docs/reference/api.md``: the front door of the library, for mkdocstrings to fill in.

It reads the source and imports none of it, as mkdocstrings does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

__all__ = ["page"]

ROOT = Path(__file__).resolve().parents[2]

_HEAD = """# The library

<!-- made by: python docs/scripts/reference.py -->

The functions of `rescli`, what they return, and the classes that plugins derive from. The site shows each
with its whole description; in a checkout, it stands in the source. [rescli from Python](../python.md)
shows how all of it is used together, [every key of a spec](spec.md) what a `RunSpec` holds.
"""

_BASES = ("Spec", "ModelSpec", "BlockSpec", "DatasetSpec", "OptimizerSpec", "ScheduleSpec")
_PLUGIN_BASES = (
    "rescli.exporters.base.Exporter",
    "rescli.importers.base.Importer",
    "rescli.evaluation.protocols.Protocol",
)


def page() -> str:
    """The whole page, as Markdown."""
    functions = list(_functions())
    types = list(dict.fromkeys(one for function in functions for one in _returned(function)))
    bases = [*(f"rescli.spec.base.{name}" for name in _BASES), *_PLUGIN_BASES]
    parts = [_HEAD]
    for title, objects in (
        ("Functions", functions),
        ("What they return", types),
        ("Errors", [_found("rescli.errors")]),
        ("Classes that plugins derive from", [_found(path) for path in bases]),
    ):
        parts += [f"## {title}\n", "| name | what it is | source |", "|---|---|---|", *map(_row, objects), ""]
        parts += map(_entry, objects)
    return "\n".join(parts).rstrip("\n") + "\n"


@cache
def _package() -> Any:
    return griffe.load("rescli", search_paths=[str(ROOT)], allow_inspection=False, resolve_aliases=False)


def _found(path: str) -> Any:
    """A module, class or function, where it is defined."""
    found = _package()
    for name in path.split(".")[1:]:
        found = found.members[name]
    return _found(found.target_path) if found.is_alias else found


def _functions() -> Iterator[Any]:
    """Those of ``rescli.__all__``, in that order."""
    front = _package()
    for name in front.exports:
        if name not in ("__version__", "errors"):
            imported = front.imports.get(str(name), "")
            yield _found(imported)


def _returned(function: Any) -> Iterator[Any]:
    """The classes that a function returns, each with those of its own module that its methods return."""
    for result in _classes(function):
        yield result
        if result.name == "RunSpec":  # whose sections have a page of their own
            continue
        members = [
            one for name, one in result.members.items() if not name.startswith("_") and not one.is_alias
        ]
        inner = [found for one in members for found in _classes(one)]
        yield from (found for found in inner if found.module is result.module or found.name == "Table")


def _classes(one: Any) -> Iterator[Any]:
    """The classes of rescli that the annotation of a function's result, or of an attribute, names."""
    annotation = getattr(one, "returns" if one.is_function else "annotation", None)
    if annotation is None or isinstance(annotation, str):
        return
    for name in annotation.iterate(flat=True):
        if isinstance(name, griffe.ExprName) and name.canonical_path.startswith("rescli."):
            found = _found(name.canonical_path)
            if found.is_class:
                yield found


def _name(one: Any) -> str:
    return f"rescli.{one.name}" if one.is_function else one.name if one.is_class else one.path


def _row(one: Any) -> str:
    file, anchor = one.filepath.relative_to(ROOT).as_posix(), _name(one).lower().replace(".", "")
    summary = one.docstring.value.splitlines()[0].removesuffix(".").replace("|", "\\|")
    return f"| [`{_name(one)}`](#{anchor}) | {summary} | [`{one.filepath.name}`](../../{file}) |"


def _entry(one: Any) -> str:
    return f"### {_name(one)}\n\n::: {one.path}\n"
