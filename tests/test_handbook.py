"""The handbook: errors name sections of it that are there, and it quotes messages that rescli has."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import TREES, constants, strings

from rescli import errors, handbook, installation
from rescli.cli.output.epilogs import PAGES
from rescli.errors import CheckpointError, DataError, RescliError, SpecError, UsageError, on_page
from rescli.exporters.parity.check import TOLERANCES
from rescli.handbook import SYMPTOMS, find_section, handbook_page, headings
from rescli.hardware.ranks import _PATIENCE_SECONDS

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / SYMPTOMS

CLASSES = [found for found in vars(errors).values() if isinstance(found, type)]

CHAPTERS = {
    *("troubleshooting", "memory", "speed-and-devices", "disks-and-run-directories", "images"),
    *("names-and-settings", "training", "checkpoints-and-weights", "several-processes", "plugins"),
    "screen-and-pictures",
}
"""Headings above others, with no symptom of their own."""

WITHOUT_ERROR = {
    "training-is-slow",
    "numbers-differ-between-machines",
    "bars-colours-and-pipes",
    "letters-missing-in-pictures",
}
"""Sections on symptoms that are no errors."""


def _named() -> Iterator[tuple[str, str]]:
    """Where a section is named in the source, and which."""
    for found in CLASSES:
        if issubclass(found, RescliError) and found.usual_page is not None:
            yield found.__name__, found.usual_page
    for module, tree in TREES.items():
        named = constants(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            given = [word.value for word in node.keywords if word.arg == "page"]
            if isinstance(node.func, ast.Name) and node.func.id == "on_page":
                given.append(node.args[0])
            for value in given:
                name = named.get(value.id) if isinstance(value, ast.Name) else None
                if isinstance(value, ast.Constant) and value.value is not None:
                    name = value.value
                if name is not None:
                    yield f"{module}:{node.lineno}", str(name)


NAMED = list(_named())


def test_every_section_that_an_error_names_is_there() -> None:
    assert len(NAMED) > 80
    assert [f"{where} names {name}" for where, name in NAMED if find_section(name) is None] == []


def test_every_section_on_a_symptom_is_named_by_an_error() -> None:
    there = headings(PAGE.read_text(encoding="utf-8")).keys() - CHAPTERS
    assert there - {name for _, name in NAMED} == WITHOUT_ERROR
    assert headings(PAGE.read_text(encoding="utf-8")).keys() >= CHAPTERS


@pytest.mark.parametrize("page", sorted({*PAGES.values()}))
def test_every_page_that_help_names_is_there(page: str) -> None:
    assert find_section(page) if "#" in page else handbook_page(page)


def test_the_page_of_commands_names_the_same_pages_as_help() -> None:
    text = (CHECKOUT / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\]\(([^)]+)\) \|$", text, re.MULTILINE))
    assert {name: page.removeprefix("#") for name, page in listed.items()} == {
        name: page.removeprefix("command-line.md#") for name, page in PAGES.items()
    }


class TestQuotes:
    """The messages that the page quotes: of each its constant parts stand in the source, in that order."""

    def test_each_is_one_of_the_source(self) -> None:
        quotes = list(_quotes())
        assert len(quotes) > 100
        assert "\n".join(quote for quote in quotes if not _occurs(quote)) == ""

    @pytest.mark.parametrize(
        "invented",
        [
            "error: runs/a holds a walk already.",
            "error: this GPU sleeps until tomorrow.",
            "warning: other programs use 1.0 of the 2 cores here: until they start, this takes longer.",
        ],
    )
    def test_an_invented_one_is_noticed(self, invented: str) -> None:
        assert not _occurs(invented)


class TestNumbersOfQuotes:
    """Where the source has a constant, a quote has its value."""

    TEXT = PAGE.read_text(encoding="utf-8")

    def test_what_an_export_is_allowed(self) -> None:
        (largest, precision, allowed), *_ = re.findall(
            r"\(the largest is ([\d.]+)\); (\w+) is allowed ([\d.]+)\. ", self.TEXT
        )
        assert allowed == f"{TOLERANCES[precision].logits * float(largest):.3g}"

    def test_on_how_many_classes_an_export_agrees(self) -> None:
        (agreed, precision, least), *_ = re.findall(
            r"the class of ([\d.]+) % of 100 images; (\w+) should on ([\d.]+) %", self.TEXT
        )
        assert least == str(TOLERANCES[precision].agreement)
        assert float(agreed) < float(least)

    def test_how_long_a_process_waits_for_others(self) -> None:
        assert re.findall(r"waiting up to (\d+) s", self.TEXT) == [str(_PATIENCE_SECONDS)]
        machines = (CHECKOUT / "docs" / "many-machines.md").read_text(encoding="utf-8")
        assert f"ends after {_PATIENCE_SECONDS} seconds" in " ".join(machines.split())


def _quotes() -> Iterator[str]:
    blocks = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks[1:]:  # the first shows how an error ends
        yield from block.splitlines()


def _templates() -> Iterator[list[str]]:
    """The constant parts of each text of the source, before and behind each variable; a docstring is none."""
    for tree in TREES.values():
        wholes = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        inner = {part.value for node in wholes for part in node.values if isinstance(part, ast.Constant)}
        texts = [text for _, text, alone in strings(tree) if not alone and text not in inner]
        for node in wholes:
            parts = [str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values]
            texts.append("".join(parts))
        yield from (re.split(r"\0|%[sd]|%\.\d[fg]|\{\w+\}", text.removeprefix("error: ")) for text in texts)


_WORD = re.compile(r"[A-Za-z]{2,}")
_LEAST_WORDS, _LEAST_SHARE = 2, 0.3
"""So many words of a quote must be constant: fewer could be so by accident."""

TEMPLATES = [parts for parts in _templates() if len(_WORD.findall(" ".join(parts))) >= _LEAST_WORDS]


def _occurs(quote: str) -> bool:
    text = re.sub(r"^(error|warning): ", "", quote)
    cut = text.endswith("...")
    text = text.removesuffix("...").rstrip()
    least = max(_LEAST_WORDS, _LEAST_SHARE * len(_WORD.findall(text)))
    return any(_constant_words(text, parts, cut=cut) >= least for parts in TEMPLATES)


def _constant_words(text: str, parts: list[str], *, cut: bool) -> int:
    """How many words of a text are constant: those of parts that stand in it one after the other.

    Returns:
        0 where not all of them do; of a text that is cut the first ones are enough.
    """
    if len(parts) == 1:  # it may be what stands in the place of another's variable
        words = len(_WORD.findall(parts[0]))
        return words if parts[0] in text and words > _LEAST_WORDS else 0
    at = words = 0
    for number, part in enumerate(parts):
        last = number == len(parts) - 1 and not cut
        place = len(text) - len(part) if last and text.endswith(part) else text.find(part, at)
        if place < at or (number == 0 and place > 0):
            if not cut or (number == 0 and not text.startswith(part[:20])):
                return 0
            # It may be cut within this one.
            seen = next((n for n in range(len(part), 0, -1) if text[at:].endswith(part[:n])), 0)
            return words + len(_WORD.findall(part[:seen]))
        at, words = place + len(part), words + len(_WORD.findall(part))
    return words if cut or not parts[-1] or at == len(text) else 0


class TestWhichSection:
    """Which section an error has: the one it names, else that of what it is made of, else its class's."""

    def test_of_its_class(self) -> None:
        assert UsageError("x").page is None
        assert DataError("x").page == "images-missing-or-damaged"

    def test_that_it_names(self) -> None:
        assert DataError("x", page="download-fails").page == "download-fails"

    def test_of_the_error_that_it_says_in_its_own_words(self) -> None:
        first, second, third = DataError("x", page="download-fails"), DataError("x y"), CheckpointError("z")
        third.__cause__, second.__cause__ = second, first
        assert third.page == "download-fails"

    def test_its_class_counts_more_than_the_class_of_what_it_says(self) -> None:
        error = CheckpointError("z")
        error.__cause__ = SpecError("x")
        assert error.page == "checkpoint-missing-or-damaged"

    def test_an_error_that_is_its_own_cause_has_an_end(self) -> None:
        error = CheckpointError("z")
        error.__cause__ = error
        assert error.page == "checkpoint-missing-or-damaged"

    @pytest.mark.parametrize(
        ("raised", "page"),
        [
            (CheckpointError("x"), "a"),
            (CheckpointError("x", page="b"), "b"),
            (DataError("x"), "images-missing-or-damaged"),
        ],
    )
    def test_a_block_has_one_for_those_that_name_none(self, raised: RescliError, page: str) -> None:
        with pytest.raises(RescliError) as caught, on_page("a", CheckpointError):
            raise raised
        assert caught.value.page == page


class TestFound:
    """The handbook on this machine."""

    def test_of_a_checkout_it_is_its_docs(self) -> None:
        assert handbook_page() == CHECKOUT / "docs" / "README.md"
        section = find_section("training-diverged")
        assert section is not None
        assert str(section) == f'{PAGE}, "Training diverged"'

    def test_of_another_page(self) -> None:
        section = find_section("command-line.md#this-machine")
        assert section is not None
        assert (section.path.name, section.heading) == ("command-line.md", "This machine")

    @pytest.mark.parametrize("name", ["nothing-of-the-kind", "nothing.md#a"])
    def test_what_is_not_there_is_none(self, name: str) -> None:
        assert find_section(name) is None

    def test_where_none_came_along_there_is_none(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(installation, "_PACKAGE", tmp_path / "rescli")
        assert handbook_page() is None
        assert find_section("training-diverged") is None

    def test_a_folder_that_may_not_be_looked_into_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: object, **_: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "stat", refuse)
        assert handbook_page() is None
        assert find_section("training-diverged") is None

    def test_a_page_that_cannot_be_read_is_none(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / SYMPTOMS).write_bytes(b"# \xff\n")
        monkeypatch.setattr(handbook, "shipped", lambda _folder: tmp_path)
        assert find_section("x") is None


def test_a_heading_that_comes_again_has_a_number() -> None:
    assert list(headings("# A\n## A\n```\n# no\n```\n## A\n## [B](c.md)!\n")) == ["a", "a-1", "a-2", "b"]
