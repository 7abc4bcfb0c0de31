"""Every command is one function of the workflows; cli parses, calls it and prints."""

from __future__ import annotations

import ast
import re

import pytest
from house import IMPORTS, TREES

from rescli import registry

PARSING_AND_PRINTING = {
    *("choose_changes", "choose_spec", "warm_start_from", "named_checkpoint"),
    *("parse_override", "parse_overrides"),
    *(
        "differing_keys",
        "default_run_path",
        "to_toml",
        "differences",
        "ledger",
        "write_atomically",
        "require_nameable",
    ),
    *("is_first", "is_restart", "launched", "leave_ranks"),
}
"""Functions below the workflows that cli may call: they parse what was typed, or word a result."""

WORKING_ROOMS = (
    *("spec", "plan", "kernels", "hardware", "models", "data", "optim", "training", "evaluation"),
    *("checkpoints", "runs", "studies", "exporters", "importers", "loggers", "bench", "files"),
)


@pytest.mark.parametrize("command", registry.names("commands"))
def test_every_command_is_a_function_of_the_workflows(command: str) -> None:
    """cli parses, calls it once and prints, so that a notebook can call the same."""
    distribution, target = registry.origin("commands", command)
    assert distribution == "rescli"
    called = [found.target for found in IMPORTS[target.partition(":")[0]]]
    assert any(target.startswith("rescli.workflows.") for target in called)


def test_the_command_line_leaves_the_work_to_the_workflows() -> None:
    called = {
        alias.name: module
        for module, tree in TREES.items()
        if module.startswith("rescli.cli.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and re.match(rf"rescli\.({'|'.join(WORKING_ROOMS)})(\.|$)", str(node.module))
        for alias in node.names
        if not alias.name[0].isupper()
    }
    assert called.keys() - PARSING_AND_PRINTING == set(), called
