"""The source of rescli, read once: modules, what each imports, and the levels of the house."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "rescli").rglob("*.py"))

LEVELS = (
    (
        "rescli",
        "foreign_text",
        "remedy",
        "errors",
        "durations",
        "plurals",
        "text_width",
        "paper",
        "files",
        "hardware.disk",
        "installation",
        "handbook",
        "registry",
        "stored",
    ),
    (
        "spec",
        "models.naming",
        "models.layout",
        "models.specs",
        "data.specs",
        "optim.specs",
        "optim.schedules",
    ),
    ("plan",),
    ("kernels",),
    ("hardware",),
    ("models", "data", "optim"),
    ("training",),
    ("evaluation",),
    ("checkpoints",),
    ("runs",),
    ("studies",),
    ("exporters", "importers", "loggers", "report", "bench", "diagnosis"),
    ("workflows",),
    ("cli", "__main__"),
)
"""Lowest first: a module may import modules of its own level and of lower ones."""


@dataclass(frozen=True)
class Import:
    """One imported module. lazy: inside a function. typing: under ``if TYPE_CHECKING``."""

    target: str
    line: int
    lazy: bool
    typing: bool


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def imports_of(tree: ast.AST, *, lazy: bool = False, typing: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for inner in node.body:
                yield from imports_of(ast.Module([inner], []), lazy=lazy, typing=True)
            for inner in node.orelse:
                yield from imports_of(ast.Module([inner], []), lazy=lazy, typing=typing)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                # "from rescli import registry" imports a module, "from rescli import __version__" does not.
                inner_module = f"{node.module}.{alias.name}"
                target = inner_module if inner_module in TREES else str(node.module)
                yield Import(target, node.lineno, lazy, typing)
        else:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_of(node, lazy=inside, typing=typing)


IMPORTS = {module: list(imports_of(tree)) for module, tree in TREES.items()}


def own_imports(module: str, *, lazy: bool | None = None, typing: bool | None = False) -> Iterator[Import]:
    for found in IMPORTS[module]:
        if (
            found.target.split(".")[0] == "rescli"
            and (lazy is None or found.lazy == lazy)
            and (typing is None or found.typing == typing)
        ):
            yield found


def room_of(module: str) -> str:
    return module.removeprefix("rescli.")


def level_of(module: str) -> int:
    """The level of the longest name in the table that holds the module."""
    room = room_of(module)
    names = {name: number for number, level in enumerate(LEVELS) for name in level}
    while room not in names:
        assert "." in room, f"{module} stands in no level: give it a place in LEVELS"
        room = room.rpartition(".")[0]
    return names[room]


def top_room(module: str) -> str:
    return room_of(module).split(".")[0]


def is_below(module: str, rooms: tuple[str, ...]) -> bool:
    return top_room(module) in rooms


def sees(module: str, found: Import) -> str:
    return f"{module}:{found.line} imports {found.target}"


def importing(modules: list[str], package: str) -> list[str]:
    return [sees(m, found) for m in modules for found in IMPORTS[m] if found.target.split(".")[0] == package]


def strings(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Line and text of each string, and whether it stands alone, as docstrings do."""
    alone = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value, id(node) in alone


def constants(tree: ast.Module) -> dict[str, object]:
    """Names that a module gives to constants at its top, and those."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
