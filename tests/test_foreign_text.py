"""Each reader gets text that it shows letter by letter."""

from __future__ import annotations

import io
import shutil
import subprocess

import pytest
from foreign_texts import EVIL, obeyed
from rich.table import Table
from rich.text import Text

from rescli.cli.remedies import as_flag
from rescli.foreign_text import (
    html_text,
    markdown_code,
    markdown_text,
    python_text,
    readable,
    shell_path,
    shell_word,
    terminal_text,
)
from rescli.remedy import Remedy
from rescli.report.console import SafeConsole
from rescli.report.messages import GuardedStream

VALUES = (*EVIL, "-rf", "--help", "", " ", "~", "#x", "a\x1bA0", "!x", "*", "\\", "猫")


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize(
    "made_safe", [readable, terminal_text, markdown_text, markdown_code, html_text, shell_word]
)
def test_nothing_is_obeyed(made_safe, text):
    assert obeyed(made_safe(text).replace("\n", " ")) == []
    if made_safe is not terminal_text:
        assert "\n" not in made_safe(text)


@pytest.mark.parametrize(
    "text", ["Katze 🐈\u200d⬛", "می\u200cخواهم", "हिन्दी", "snake_case", "3×3 (a + b) - c", "1.5 %", "café"]
)
def test_what_harms_nobody_stays(text):
    assert readable(text) == terminal_text(text) == text
    assert markdown_text(text) == text


def test_lines_stay_lines():
    assert terminal_text("a\tb\nc\x07\n") == "a\tb\nc\\x07\n"


def test_joiners_that_nobody_sees_are_shown():
    assert readable("cat\u200d") == r"cat\u200d"
    assert readable("a\u200cb") == r"a\u200cb"


@pytest.mark.parametrize("value", [one for one in VALUES if "\ud800" not in one])
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_shell_reads_the_word_back(value):
    command = f"printf '%s|' {shell_word(value)}"
    assert "\n" not in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == f"{value}|".encode()


@pytest.mark.parametrize("value", VALUES)
def test_python_reads_the_literal_back(value):
    assert eval(python_text(value)) == value
    assert python_text(value).isprintable()


def test_a_path_is_no_option():
    assert shell_path("-x") == "./-x"
    assert as_flag(Remedy("resume", "--help")) == "rescli train --resume ./--help"
    assert as_flag(Remedy("out", "-x")) == "--out=-x"


def test_a_note_ends_in_its_line():
    worded = as_flag(Remedy("resume", "x", "a\nrm -rf ~"))
    assert worded == r"rescli train --resume x  # a\nrm -rf ~"
    assert eval(str(Remedy("device", 'a"b\n')).partition("=")[2]) == 'a"b\n'


@pytest.mark.parametrize("text", EVIL)
def test_the_console_keeps_its_own_colours_alone(text):
    written = io.StringIO()
    console = SafeConsole(
        file=GuardedStream(written), force_terminal=True, width=300, color_system="standard"
    )
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    console.print(table)
    console.print(text.replace("\n", " "), style="bold")
    console.print(Text.from_ansi("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\"))
    shown = written.getvalue()
    assert "\x1b[1m" in shown
    for sequence in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\u202e", "\u200b"):
        assert sequence not in shown
