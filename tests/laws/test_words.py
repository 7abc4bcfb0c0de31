"""Who speaks, who knows flags and commands, and how a docstring begins."""

from __future__ import annotations

import ast
import re
from itertools import pairwise

from house import TREES, importing, is_below, strings

from rescli import registry

FLAGS_OF_OTHER_PROGRAMS = {
    *("--porcelain", "--untracked-files=no"),  # git
    *("--query-gpu=driver_version", "--format=csv,noheader"),  # nvidia-smi
}


def test_only_the_command_line_and_reports_speak() -> None:
    quiet = [module for module in TREES if not is_below(module, ("cli", "report"))]
    printed = [
        f"{module}:{node.lineno} prints"
        for module in quiet
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printed + importing(quiet, "rich") + importing(quiet, "typer") == []


def test_only_the_command_line_knows_flags() -> None:
    """Errors carry a Remedy, a setting and its value; cli/remedies.py words it as a flag."""
    flags = [
        f"{module}:{line} {text!r}"
        for module, tree in TREES.items()
        if not is_below(module, ("cli",))
        for line, text, alone in strings(tree)
        if not alone and re.search(r"--[a-z]", text) and text not in FLAGS_OF_OTHER_PROGRAMS
    ]
    assert flags == []


def test_only_the_command_line_knows_commands() -> None:
    """Errors carry a Remedy whose setting is an action; docstrings may name commands."""
    named = re.compile(rf"\brescli ({'|'.join(registry.names('commands'))})\b")
    commands = [
        f"{module}:{line} {text!r}"
        for module, tree in TREES.items()
        if not is_below(module, ("cli",))
        for line, text, alone in strings(tree)
        if not alone and named.search(text)
    ]
    assert commands == []


def test_no_docstring_begins_in_the_middle_of_a_sentence() -> None:
    begun = [
        f"{module}:{line}"
        for module, tree in TREES.items()
        for line, text, alone in strings(tree)
        if alone and re.match(r"\s*(Of|Raises:)\s", text)
    ]
    assert begun == []


def test_a_string_alone_says_something_of_what_stands_before_it() -> None:
    """A docstring, or the line below a constant; anything else is a leftover."""
    leftover = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for before, node in pairwise(tree.body)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and not isinstance(before, ast.Assign | ast.AnnAssign)
    ]
    assert leftover == []
