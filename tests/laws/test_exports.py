"""What a module offers: on purpose, in order, defined there, and typed."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter

import pytest
from house import FILES, TREES, module_of, top_room

PASSED_ON = {
    "rescli.cli.output.messages",  # what to say, with what says it
    "rescli.cli.signals",
    "rescli.data.augment",  # arithmetic that kernels share
    "rescli.data.hashing",
}
"""What offers another module's names on purpose."""


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_name_has_one_home(module: str) -> None:
    """Nothing is exported that another module defines."""
    if module.rpartition(".")[2] in {"rescli", "spec"} or module in PASSED_ON:
        return
    exported = {
        name.value
        for node in TREES[module].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.walk(node.value)
        if isinstance(name, ast.Constant)
    }
    imported = {
        alias.asname or alias.name
        for node in TREES[module].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert exported & imported == set()


def test_what_crosses_a_door_is_a_type() -> None:
    untyped = Counter(
        top_room(module_of(path))
        for path in FILES
        for _ in re.finditer(r"dict\[str, Any\]", path.read_text(encoding="utf-8"))
    )
    assert sum(untyped.values()) <= 40, untyped


def _sort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Constants, then classes, then functions; numbers by their size: Cifar10Spec before Cifar100Spec."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    pieces = re.findall(r"\d+|\D+", name)
    return kind, [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


def _defines(tree: ast.Module) -> bool:
    return any(isinstance(n, ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign) for n in tree.body)


PUBLIC = [
    module
    for module, tree in TREES.items()
    if module != "rescli" and _defines(tree) and not any(part.startswith("_") for part in module.split("."))
]


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_module_exports_on_purpose_and_in_order(module: str) -> None:
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        if error.name != "triton":
            raise
        pytest.skip("Triton is not installed")
    assert loaded.__all__ == sorted(loaded.__all__, key=_sort_key)
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
