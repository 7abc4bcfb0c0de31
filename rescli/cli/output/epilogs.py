"""The last line of each command's help: where the handbook, or its page on the command, lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rescli.foreign_text import readable
from rescli.handbook import find_section, handbook_page

__all__ = ["PAGES", "write_epilog"]

PAGES: Mapping[str, str] = {
    "analyze": "evaluating.md#layer-responses",
    "bench": "performance.md",
    "compare": "comparing.md",
    "data": "data.md",
    "doctor": "command-line.md#this-machine",
    "eval": "evaluating.md",
    "export": "exporting.md#export",
    "import": "exporting.md#bring-weights-from-elsewhere",
    "models": "evaluating.md#look-at-a-network",
    "plugins": "plugins.md",
    "predict": "evaluating.md#predict-the-class-of-a-picture",
    "presets": "training.md#presets-and-your-own-recipes",
    "reproduce": "comparing.md#reproduce-the-paper",
    "show": "evaluating.md#look-at-a-checkpoint",
    "train": "training.md",
    "verify": "training.md#prove-the-resume",
}
"""Commands to their pages, or a section of one; a plugin's command has none here."""


def write_epilog(ctx: Any, formatter: Any) -> None:
    """Write it; nothing where the handbook did not come along, or has no page on the command.

    Args:
        ctx: the context of the command, by which it is known.
        formatter: what writes its help. The line is not wrapped, so that the path can be copied.
    """
    words: list[str] = []
    while ctx.parent is not None:
        words.append(str(ctx.info_name))
        ctx = ctx.parent
    page = PAGES.get(words[-1]) if words else "README.md"
    found = None if page is None else find_section(page) if "#" in page else handbook_page(page)
    if found is not None:
        formatter.write_paragraph()
        formatter.write(f"Handbook: {readable(str(found))}\n")
