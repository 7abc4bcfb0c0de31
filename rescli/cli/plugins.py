"""``rescli plugins``: everything that is registered, and what of it is broken."""

from __future__ import annotations

from rescli.cli.options import Json

__all__ = ["plugins"]


def plugins(json: Json = False) -> None:
    """List every command, model, data set and so on, and the package it comes from.

    A name that is missing here was not there when its package was installed: after a new entry point in a
    pyproject.toml, run pip install again, for an editable install too.
    """
    from dataclasses import asdict

    from rescli.cli.output.columns import print_hanging
    from rescli.cli.output.results import print_json
    from rescli.workflows.listings import plugins as workflow

    found = workflow.plugins()
    if json:
        print_json({"plugins": [asdict(one) for one in found]})
        return
    for one in found:
        mark = f"  BROKEN: {one.problem}" if one.problem else ""
        print_hanging(f"{one.group:<11} {one.name:<12} {one.distribution:<12} ", f"{one.object}{mark}")
