"""Examples in the documents, as pytest sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. heading: the last one above it. line: where its first line stands."""

    page: str
    heading: str
    language: str
    code: str
    line: int


@pytest.fixture(scope="session")
def blocks_of() -> Callable[[str], list[Block]]:
    """``blocks_of("docs/python.md")``: the fenced blocks of a page, in order."""
    return lambda page: list(_blocks(page))


@pytest.fixture(scope="session")
def run_block() -> Callable[[Block, dict[str, Any]], dict[str, Any]]:
    """Execute a block of Python; a traceback names the page and its line."""

    def run(block: Block, names: dict[str, Any]) -> dict[str, Any]:
        padded = "\n" * (block.line - 1) + block.code
        exec(compile(padded, str(ROOT / block.page), "exec", dont_inherit=True), names)
        return names

    return run


def _blocks(page: str) -> Iterator[Block]:
    heading, fence = "", None
    body: list[str] = []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        if fence is None and (found := re.match(r"#+ +(.+)", line)):
            heading = found[1]
        elif fence is None and line.startswith("```"):
            fence, body = line[3:].strip(), []
        elif fence is not None and line.startswith("```"):
            yield Block(page, heading, fence, "\n".join(body) + "\n", number - len(body))
            fence = None
        elif fence is not None:
            body.append(line)
