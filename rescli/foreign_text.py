"""Text of which nobody knows who wrote it: names of classes and files, what a checkpoint says of itself.

Each place where it may arrive reads some signs as commands, and has one function here that takes their power:
a terminal, Markdown, HTML, a shell, Python. JSON and CSV keep it as it is, for programs.
"""

from __future__ import annotations

import html
import re
import shlex

__all__ = [
    "html_text",
    "markdown_code",
    "markdown_text",
    "python_text",
    "readable",
    "shell_path",
    "shell_word",
    "terminal_text",
]

_JOINERS = "\u200c\u200d"
"""They choose how letters of some scripts, and emoji, are drawn; between others they are invisible."""

_MARKDOWN = re.compile(
    r"[\\`*\[\]|~$<>&]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|^[#=+-](?=\s|$)|^(\d+)(?=[.)]\s)"
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def readable(text: str) -> str:
    """The text on one line, as every terminal and file takes it: what is no UTF-8 or no character is escaped.

    Escaped are line ends, escape sequences, all other control characters, signs that turn the direction of
    writing, and signs of no width, but for joiners between letters that are not ASCII.

    >>> readable("caf\\udce9"), readable("two\\nlines"), readable("\\x1b[31mred")
    ('caf\\\\xe9', 'two\\\\nlines', '\\\\x1b[31mred')
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or _joins(text, place) else _escaped(letter)
        for place, letter in enumerate(text)
    )


def _joins(text: str, place: int) -> bool:
    around = text[max(place - 1, 0) : place + 2]
    return (
        text[place] in _JOINERS
        and len(around) == 3
        and not any(other.isascii() for other in around)
        and (around[0] + around[2]).isprintable()
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def terminal_text(text: str) -> str:
    """Text of several lines without a sign that a terminal obeys, but for line ends and tabs.

    >>> terminal_text("one\\n\\x1b]0;title\\x07two")
    'one\\n\\\\x1b]0;title\\\\x07two'
    """
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "\n".join("\t".join(map(readable, line.split("\t"))) for line in text.split("\n"))


def markdown_text(text: object) -> str:
    """Text within a line or a cell of a table of Markdown, shown letter by letter.

    >>> markdown_text("a|b <script> snake_case _x_")
    'a\\\\|b &lt;script&gt; snake_case \\\\_x\\\\_'
    """
    return _MARKDOWN.sub(lambda found: _in_markdown(found.group()), readable(str(text)))


def _in_markdown(sign: str) -> str:
    return sign + "\\" if sign.isdigit() else _ENTITIES.get(sign, f"\\{sign}")


def markdown_code(text: object) -> str:
    """Text between backticks, in a table too; as plain text where it has backticks or bars itself.

    >>> markdown_code("net.pth"), markdown_code("a`b")
    ('`net.pth`', 'a\\\\`b')
    """
    shown = readable(str(text))
    return markdown_text(shown) if not shown.strip() or {*"`|"} & {*shown} else f"`{shown}`"


def html_text(text: object) -> str:
    """Text between tags, or in a quoted attribute, of HTML.

    >>> html_text("<b>\\u202e")
    '&lt;b&gt;\\\\u202e'
    """
    return html.escape(readable(str(text)))


def shell_word(value: object) -> str:
    """One word of a POSIX shell that stands for the value, on one line.

    What cannot be printed is written as ``$'...'``, which bash, zsh and ksh read.

    >>> shell_word("runs/x"), shell_word("$(x) y"), shell_word("two\\nlines")
    ('runs/x', "'$(x) y'", "$'two\\\\nlines'")
    """
    word = str(value)
    return shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_in_shell, word))}'"


def shell_path(path: object) -> str:
    """``shell_word`` of a file, which no command takes for an option.

    >>> shell_path("-x.png")
    './-x.png'
    """
    word = str(path)
    return shell_word(f"./{word}" if word.startswith("-") else word)


_SHELL = {"\n": "\\n", "'": "\\'", "\\": "\\\\"}


def _in_shell(letter: str) -> str:
    if letter in _SHELL or letter.isprintable():
        return _SHELL.get(letter, letter)
    escaped_byte = 0xDC80 <= ord(letter) <= 0xDCFF  # of a name that is no UTF-8
    # Three octal digits, for all shells agree where they end.
    return "".join(
        f"\\{byte:03o}"
        for byte in letter.encode("utf-8", "surrogateescape" if escaped_byte else "surrogatepass")
    )


def python_text(text: str) -> str:
    """A literal of Python, in double quotes and on one line.

    >>> print(python_text('a "b"'), python_text("two\\nlines"))
    "a \\"b\\"" "two\\nlines"
    """
    inner = "".join(
        f"\\{letter}"
        if letter in '"\\'
        else letter
        if letter.isprintable()
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
    return f'"{inner}"'
