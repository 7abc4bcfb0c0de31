"""Everything that is registered, and what of it is broken."""

from __future__ import annotations

from dataclasses import dataclass

from rescli import registry
from rescli.workflows.notes import with_notes

__all__ = ["Plugin", "plugins"]


@dataclass(frozen=True)
class Plugin:
    """One registered name.

    Args:
        group: what it is, such as ``models``.
        name: what users call it.
        distribution: the installed package that brings it.
        object: the module and the name in it.
        problem: why it cannot be used; None where it can.
    """

    group: str
    name: str
    distribution: str
    object: str
    problem: str | None = None


@with_notes
def plugins() -> list[Plugin]:
    """Every registered command, model, data set and so on, by group and name; each is imported.

    Example:
        >>> [found.name for found in plugins() if found.group == "importers"]
        ['akamaster', 'pycls', 'torchvision']
    """
    rows = []
    for group in registry.GROUPS:
        problems = registry.broken(group)
        rows += [
            Plugin(group, name, *registry.origin(group, name), problem=problems.get(name))
            for name in registry.names(group)
        ]
    return rows
