"""Texts that somebody may put into a file to have them obeyed where they are shown."""

from __future__ import annotations

import re

__all__ = ["EVIL", "FORGED", "obeyed"]

FORGED = "error: all is lost"
"""A line of its own, were a line end obeyed."""

EVIL = (
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31m",
    "\x1b]8;;http://evil.example\x1b\\link",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b31m\x90\x85",
    "\u202egnp.exe\u2066",
    "a\u200bb\ufeff\u00ad",
    f"x\n{FORGED}",
    f"x\r{FORGED}",
    f"x\u2028{FORGED}",
    "[red]x[/] [link=http://evil.example]y[/link] [/nope]",
    "a|b <script>alert(1)</script> `c` [d](http://evil.example) __e__",
    "\"; rm -rf ~; $(reboot) `reboot` '",
    "=cmd()",
    "\ud800 caf\udce9",
)
"""One for each kind of reader: a terminal, rich, Markdown and HTML, a shell, a spreadsheet, an encoder."""


def obeyed(text: str) -> list[str]:
    """Signs of a text that a terminal would obey, and lines that were forged."""
    signs = [repr(letter) for letter in text if letter != "\n" and not letter.isprintable()]
    return signs + re.findall(rf"^{FORGED}.*", text, re.MULTILINE)
