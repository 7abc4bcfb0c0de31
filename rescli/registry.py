"""Names to objects, over entry points: the one look-up for everything that can be plugged in.

rescli's own models, datasets and commands stand in its ``pyproject.toml`` in the same groups as a
plugin's. ``names`` imports nothing; ``load`` imports just the one object asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from rescli.errors import UnknownNameError, UsageError

__all__ = ["GROUPS", "broken", "load", "names", "origin", "override"]

GROUPS = {
    "commands": "a function or a typer.Typer",
    "models": "a ModelSpec class",
    "blocks": "a BlockSpec class",
    "datasets": "a DatasetSpec class",
    "optimizers": "an OptimizerSpec class",
    "loggers": "a class or function that opens the log of a run",
    "schedules": "a ScheduleSpec class",
    "exporters": "an Exporter class",
    "importers": "an Importer class",
    "protocols": "a Protocol object",
}
"""Group (without the prefix ``rescli.``) to what its entry points name."""

_overrides: dict[tuple[str, str], Any] = {}


def names(group: str) -> list[str]:
    """The sorted names of a group. Imports no plugin."""
    overridden = {name for g, name in _overrides if g == group}
    return sorted({*_table(group), *overridden})


def load(group: str, name: str) -> Any:
    """The object registered as ``name``.

    Entry points are read from what pip wrote down: after a new one in a pyproject.toml, its package has to be
    installed again, an editable one too.

    Raises:
        UnknownNameError: nothing has that name.
        UsageError: two distributions claim the name, or the plugin cannot be imported.
    """
    if (group, name) in _overrides:
        return _overrides[group, name]
    candidates = _table(group).get(name)
    if candidates is None:
        raise UnknownNameError(group.removesuffix("s"), name, names(group))
    if len(candidates) > 1:
        claims = " and ".join(f"{_owner(point)} ({point.value})" for point in candidates)
        raise UsageError(
            f"{group.removesuffix('s')} {name!r} is claimed twice: by {claims}.",
            hint="uninstall one of the two distributions",
            page="plugin-cannot-be-used",
        )
    point = candidates[0]
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())  # one line, whatever the plugin raised
        raise UsageError(
            f"{group.removesuffix('s')} {name!r} of {_owner(point)} cannot be loaded from "
            f"{point.value!r}: {type(error).__name__}: {reason}",
            hint=f"repair or uninstall {_owner(point)}",
            page="plugin-cannot-be-used",
        ) from error


def origin(group: str, name: str) -> tuple[str, str]:
    """The distribution and the object path that a name stands for; imports nothing."""
    point = _table(group)[name][0]
    return _owner(point), point.value


def broken(group: str) -> dict[str, str]:
    """Name to reason, for every name of the group that cannot be loaded; imports the whole group."""
    problems = {}
    for name in names(group):
        try:
            load(group, name)
        except UsageError as error:
            problems[name] = str(error)
    return problems


@contextmanager
def override(group: str, name: str, value: Any) -> Iterator[None]:
    """Within the ``with`` block, ``name`` means ``value``: for tests, and for trying a plugin in a notebook.

    Args:
        group: the registry group, without the prefix ``rescli.``.
        name: what users call it; it may be new, or a registered name that is to mean something else.
        value: what the group's entry points name, see ``GROUPS``.

    Example:
        >>> with override("datasets", "mine", load("datasets", "shapes")):
        ...     "mine" in names("datasets")
        True
        >>> "mine" in names("datasets")
        False
    """
    key = (group, name)
    before = _overrides.get(key, _overrides)
    _overrides[key] = value
    try:
        yield
    finally:
        if before is _overrides:
            del _overrides[key]
        else:
            _overrides[key] = before


@cache
def _table(group: str) -> dict[str, list[EntryPoint]]:
    if group not in GROUPS:
        raise UnknownNameError("registry group", group, GROUPS)
    points = list(entry_points(group=f"rescli.{group}"))
    if not any(_owner(point) == "rescli" for point in points):
        points += _points_of_checkout(f"rescli.{group}")
    table: dict[str, list[EntryPoint]] = {}
    for point in points:
        claims = table.setdefault(point.name, [])
        # An editable install can list its distribution twice; that is one claim.
        if all((_owner(point), point.value) != (_owner(p), p.value) for p in claims):
            claims.append(point)
    return table


def _points_of_checkout(group: str) -> list[EntryPoint]:
    """rescli's own entry points when it runs from a checkout that was never installed."""
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    if not pyproject.is_file():
        return []
    table = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["entry-points"].get(group, {})
    return [EntryPoint(name, value, group) for name, value in table.items()]


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "rescli"
