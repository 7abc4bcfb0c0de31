"""ARCHITECTURE.md stays true: its paths exist, it names every room, and its levels are those of the laws."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LAWS = ROOT / "tests" / "laws"
CODE = re.compile(r"`([^`\s]+)`")
PATH = re.compile(r"^(?:rescli|presets|tests|docs|examples|benchmarks)/|^(?:pyproject\.toml|mkdocs\.yml)$")


def _section(heading: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def _rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in the text, heads aside."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("|---")}
    kept = [line for number, line in enumerate(lines) if number not in heads and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def _paths(text: str) -> list[str]:
    return [code for code in CODE.findall(text) if PATH.match(code)]


def test_every_path_on_the_page_exists() -> None:
    assert [path for path in _paths(PAGE) if not (ROOT / path).exists()] == []


def test_a_folder_is_written_with_a_stroke_at_its_end() -> None:
    assert [path for path in _paths(PAGE) if (ROOT / path).is_dir() != path.endswith("/")] == []


def test_each_change_names_the_file_to_open_first() -> None:
    rows = _rows(_section("I want to change X: look in Y"))
    assert len(rows) >= 60
    assert [row[0] for row in rows if len(row) != 3 or not _paths(row[1])] == []


def test_the_walk_of_one_run_fits_on_a_page() -> None:
    walk = _section("One run, from the command to the record").strip().splitlines()
    assert 30 <= len(walk) <= 60


def test_every_room_is_named() -> None:
    rooms = {init.parent for init in (ROOT / "rescli").rglob("__init__.py")} - {ROOT / "rescli"}
    files = {f"rescli/{file.name}" for file in (ROOT / "rescli").glob("*.py")}
    wanted = {f"{room.relative_to(ROOT)}/" for room in rooms} | files
    assert sorted(wanted - set(_paths(_section("The rooms")))) == []


def _levels_of_the_laws() -> dict[str, int]:
    tree = ast.parse((LAWS / "house.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS":
            levels = ast.literal_eval(node.value)
            return {room: number for number, level in enumerate(levels) for room in level}
    raise AssertionError("house.py holds no LEVELS")


def _room(path: str) -> str:
    return path.removeprefix("rescli/").removesuffix("/").removesuffix(".py").replace("/", ".")


def test_the_levels_are_those_that_the_laws_hold() -> None:
    laws = _levels_of_the_laws()
    shown = {
        _room(path): row
        for row, cells in enumerate(_rows(_section("The levels")))
        for path in _paths(cells[0])
    }
    assert len(shown) > 15
    assert [room for room in shown if room not in laws] == []
    wrong = [
        f"{low} stands above {high}"
        for low in shown
        for high in shown
        if laws[low] < laws[high] and shown[low] >= shown[high]
    ]
    assert wrong == []


def test_the_tests_of_the_laws_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    source = "".join(file.read_text(encoding="utf-8") for file in LAWS.glob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)", source, flags=re.MULTILINE))
    assert len(named) > 8
    assert sorted(named - defined) == []
