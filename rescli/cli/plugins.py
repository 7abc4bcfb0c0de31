"""``rescli plugins``: everything that is registered, and what of it is broken."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["plugins"]


def plugins(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every registered command, model, data set and so on, with the package it comes from."""
    from rescli import registry
    from rescli.cli.output.results import print_json

    rows = []
    for group in registry.GROUPS:
        problems = registry.broken(group)
        for name in registry.names(group):
            distribution, target = registry.origin(group, name)
            rows.append(
                {
                    "group": group,
                    "name": name,
                    "distribution": distribution,
                    "object": target,
                    "problem": problems.get(name),
                }
            )
    if json:
        print_json({"plugins": rows})
        return
    for row in rows:
        mark = f"  BROKEN: {row['problem']}" if row["problem"] else ""
        print(f"{row['group']:<11} {row['name']:<12} {row['distribution']:<12} {row['object']}{mark}")
