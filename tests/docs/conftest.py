"""Examples in the documents, as pytest sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import handbook
import pytest
from handbook import ROOT, Block


@pytest.fixture(scope="session")
def blocks_of() -> Callable[[str], list[Block]]:
    """``blocks_of("docs/python.md")``: the fenced blocks of a page, in order."""
    return handbook.blocks_of


@pytest.fixture(scope="session")
def run_block() -> Callable[[Block, dict[str, Any]], dict[str, Any]]:
    """Execute a block of Python; a traceback names the page and its line."""

    def run(block: Block, names: dict[str, Any]) -> dict[str, Any]:
        padded = "\n" * (block.line - 1) + block.code
        exec(compile(padded, str(ROOT / block.page), "exec", dont_inherit=True), names)
        return names

    return run
