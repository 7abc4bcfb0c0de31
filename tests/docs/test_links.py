"""The documents: what they link to is there, and the README stays a first page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in HEADING.findall(_prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        repeated = sum(anchor == slug or anchor.startswith(f"{slug}-") for anchor in anchors)
        anchors.add(slug if slug not in anchors else f"{slug}-{repeated}")
    return anchors


def _broken(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(_prose(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists():
            broken.append(f"{target}: no such file")
        elif anchor and there.suffix == ".md" and anchor not in _anchors(there):
            broken.append(f"{target}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert _broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `--heading`: of it\n[a](#a---heading-of-it) [b](#b) [c](c.md)\n```\n[d](d.md)\n```\n"
    )
    assert _broken(page) == ["#b: no such heading", "c.md: no such file"]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=_name)
def test_every_page_of_the_handbook_is_in_its_contents(page: Path) -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert page.name == "README.md" or f"({page.name})" in contents


def test_the_readme_is_a_first_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    first_screen = text[: text.index("**Contents:**")]
    assert "```sh\npip install . && rescli train quickstart\n```" in first_screen
    assert "```sh\npip install -e '.[dev]' && pytest\n```" in first_screen  # .ci/run installs by this line
    (picture,) = re.findall(r"!\[[^\]]+\]\((docs/img/[^)]+)\)", first_screen)
    assert (ROOT / picture).stat().st_size < 150_000


def test_the_tour_is_written_once() -> None:
    """So that whoever finds a better one changes one line."""
    tour = re.compile(r"^rescli compare plain-\d+ plain-\d+ resnet-\d+ .*shapes", re.MULTILINE)
    found = [_name(page) for page in PAGES for _ in tour.findall(page.read_text(encoding="utf-8"))]
    assert found == ["README.md"]
