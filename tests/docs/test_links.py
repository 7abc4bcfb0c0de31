"""The documents: what they link to is there, and the README stays a first page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rescli.handbook import headings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]

HANDBOOK = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]

HOSTS = {
    "arxiv.org",
    "cs231n.stanford.edu",
    "github.com",
    "keepachangelog.com",
    "pytorch.org",
    "onnxruntime.ai",
    "huggingface.co",
    "www.cs.toronto.edu",
    "www.image-net.org",
}
"""Where links may lead outside the checkout: places that last. No test follows them."""

LINK = re.compile(r"""\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)\"""")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    return set(headings(page.read_text(encoding="utf-8")))


def _targets(page: Path) -> list[str]:
    """What the links and the pictures of a page lead to, in order."""
    prose = re.sub(r"`[^`\n]*`", "", _prose(page))
    return [target for pair in LINK.findall(prose) for target in pair if target]


def _broken(page: Path) -> list[str]:
    broken = []
    for target in _targets(page):
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
        '[![e](e.png)](page.md) <img src="f.png"> `[g](g.md)`\n'
    )
    assert _broken(page) == [
        "#b: no such heading",
        "c.md: no such file",
        "e.png: no such file",
        "f.png: no such file",
    ]


@pytest.mark.parametrize("page", HANDBOOK, ids=_name)
def test_every_page_of_the_handbook_is_in_its_contents_and_in_the_site(page: Path) -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    name = page.relative_to(ROOT / "docs").as_posix()
    assert name == "README.md" or f"]({name})" in contents
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert re.search(rf"- (?:[^\n:]+: )?{re.escape(name)}\n", navigation)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_out_of_the_checkout_lead_to_places_that_last(page: Path) -> None:
    outside = [urlsplit(target) for target in _targets(page) if "://" in target or target.startswith("//")]
    wrong = [one.geturl() for one in outside if one.scheme != "https" or one.hostname not in HOSTS]
    assert wrong == [], "another host has to be added to HOSTS"


def test_the_readme_is_a_first_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    first_screen = text[: text.index("**Contents:**")]
    assert "```sh\npip install . && rescli train quickstart\n```" in first_screen
    assert "```sh\npip install -e '.[dev]' && pytest\n```" in first_screen  # .ci/run installs by this line
    (picture,) = re.findall(r"!\[[^\]]+\]\((docs/img/[^)]+)\)", first_screen)
    assert (ROOT / picture).stat().st_size < 150_000


def test_the_tour_is_the_same_everywhere() -> None:
    """So that whoever finds a better one changes all of them."""
    tour = re.compile(r"^rescli compare plain-\d+ plain-\d+ resnet-\d+ .*shapes.*$", re.MULTILINE)
    found = {_name(page): tour.findall(page.read_text(encoding="utf-8")) for page in PAGES}
    found = {page: commands for page, commands in found.items() if commands}
    assert {"README.md", "docs/start/tour.md"} <= set(found)
    assert len({command for commands in found.values() for command in commands}) == 1
