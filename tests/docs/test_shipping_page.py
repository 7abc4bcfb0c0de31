"""The two programs of the page of shipping are whole: a reader saves one, and it runs without rescli."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

PAGE = "docs/recipes/shipping.md"


@pytest.fixture
def programs(blocks_of: Callable[[str], list[Any]]) -> list[str]:
    """The blocks of Python that read an exported file; the others check what those answered."""
    blocks = [block.code for block in blocks_of(PAGE) if block.language == "python"]
    assert len(blocks) == 4
    assert all("seen.label" in check for check in blocks[1::2])
    return blocks[::2]


@pytest.mark.parametrize(
    ("number", "file", "packages"),
    [
        (0, "net.onnx", {"json", "numpy", "onnxruntime", "PIL"}),
        (1, "net.pth", {"json", "torch", "torchvision", "PIL"}),
    ],
)
def test_a_program_is_whole_and_needs_no_rescli(
    number: int, file: str, packages: set[str], programs: list[str]
) -> None:
    tree = ast.parse(programs[number])
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == packages
    assert file in programs[number]
    assert 'PHOTO = "cat.jpg"' in programs[number]
