"""The laws of the house, read off the source: who may import whom, who speaks, how long a file is."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from rescli import registry

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "rescli").rglob("*.py"))

LEVELS = (
    ("rescli", "remedy", "errors", "durations", "paper", "files", "installation", "registry"),
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
    ("exporters", "importers", "loggers", "report", "bench"),
    ("workflows",),
    ("cli", "__main__"),
)
"""Lowest first: a module may import modules of its own level and of lower ones."""

SIBLINGS = ("models", "data", "optim")
"""On one level, and not to import each other."""

FLAGS_OF_OTHER_PROGRAMS = {
    *("--porcelain", "--untracked-files=no"),  # git
    *("--query-gpu=driver_version", "--format=csv,noheader"),  # nvidia-smi
}

PASSED_ON = {
    "rescli.cli.output.messages",  # what to say, with what says it
    "rescli.cli.signals",
    "rescli.data.augment",  # arithmetic that kernels share
    "rescli.data.hashing",
}
"""What offers another module's names on purpose."""

TORCH_FREE = {"torch", "torchvision", "numpy", "matplotlib"}


@dataclass(frozen=True)
class Import:
    """One imported module. lazy: inside a function. typing: under ``if TYPE_CHECKING``."""

    target: str
    line: int
    lazy: bool
    typing: bool


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {_module(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def _imports(tree: ast.AST, *, lazy: bool = False, typing: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for inner in node.body:
                yield from _imports(ast.Module([inner], []), lazy=lazy, typing=True)
            for inner in node.orelse:
                yield from _imports(ast.Module([inner], []), lazy=lazy, typing=typing)
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
            yield from _imports(node, lazy=inside, typing=typing)


IMPORTS = {module: list(_imports(tree)) for module, tree in TREES.items()}


def _own(module: str, *, lazy: bool | None = None, typing: bool | None = False) -> Iterator[Import]:
    for found in IMPORTS[module]:
        if (
            found.target.split(".")[0] == "rescli"
            and (lazy is None or found.lazy == lazy)
            and (typing is None or found.typing == typing)
        ):
            yield found


def _room(module: str) -> str:
    return module.removeprefix("rescli.")


def _level(module: str) -> int:
    """The level of the longest name in the table that holds the module."""
    room = _room(module)
    names = {name: number for number, level in enumerate(LEVELS) for name in level}
    while room not in names:
        assert "." in room, f"{module} stands in no level: give it a place in LEVELS"
        room = room.rpartition(".")[0]
    return names[room]


def _top(module: str) -> str:
    return _room(module).split(".")[0]


def _is_below(module: str, rooms: tuple[str, ...]) -> bool:
    return _top(module) in rooms


def _importing(modules: list[str], package: str) -> list[str]:
    return [_sees(m, found) for m in modules for found in IMPORTS[m] if found.target.split(".")[0] == package]


def _sees(module: str, found: Import) -> str:
    return f"{module}:{found.line} imports {found.target}"


def test_imports_point_one_way() -> None:
    upward = [
        _sees(module, found)
        for module in TREES.keys() - {"rescli"}  # the front door, which opens everything
        for found in _own(module, lazy=False)
        if found.target != "rescli" and _level(found.target) > _level(module)
    ]
    assert upward == []


def test_no_room_in_the_list_of_levels_is_a_ghost() -> None:
    names = [f"rescli.{name}".removeprefix("rescli.rescli") or "rescli" for level in LEVELS for name in level]
    assert [name for name in names if name not in TREES] == []


def test_siblings_do_not_import_each_other() -> None:
    """Not even lazily, or for the sake of a type."""
    seen = [
        _sees(module, found)
        for module in TREES
        for found in _own(module, typing=None)
        if _is_below(module, SIBLINGS)
        and _is_below(found.target, SIBLINGS)
        and _top(found.target) != _top(module)
    ]
    assert seen == []


def test_no_circle_of_imports() -> None:
    waiting = {
        module: {found.target for found in _own(module, lazy=False) if found.target != "rescli"}
        for module in TREES
    }
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert waiting == {}


def test_lazy_imports_only_in_build_and_in_commands_and_their_workflows() -> None:
    lazy = [
        _sees(module, found)
        for module in TREES
        for found in _own(module, lazy=True)
        if not _is_below(module, ("cli", "workflows")) and not module.endswith(".specs")
    ]
    assert lazy == []


def test_up_to_the_plan_nothing_imports_torch() -> None:
    heavy = [
        _sees(module, found)
        for module in TREES
        for found in IMPORTS[module]
        if _level(module) <= _level("rescli.plan")
        and not found.lazy
        and not found.typing
        and found.target.split(".")[0] in TORCH_FREE
    ]
    assert heavy == []


def test_models_data_optim_and_training_know_no_spec() -> None:
    seen = [
        _sees(module, found)
        for module in TREES
        for found in _own(module, typing=None)
        if _is_below(module, (*SIBLINGS, "training", "kernels"))
        and not module.endswith(".specs")
        and (found.target.startswith("rescli.spec") or found.target.endswith(".specs"))
    ]
    assert seen == []


def test_only_the_command_line_and_reports_speak() -> None:
    quiet = [module for module in TREES if not _is_below(module, ("cli", "report"))]
    printed = [
        f"{module}:{node.lineno} prints"
        for module in quiet
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printed + _importing(quiet, "rich") + _importing(quiet, "typer") == []


def test_nothing_imports_click() -> None:
    assert _importing(list(TREES), "click") == []


def test_no_drawer_for_odds_and_ends() -> None:
    names = re.compile(r"(^|[._])(utils?|helpers?|common|misc)([._]|$)")
    assert [module for module in TREES if names.search(module)] == []


def test_no_file_needs_scrolling() -> None:
    lengths = {_module(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {module: length for module, length in lengths.items() if length > 300} == {}


def test_no_folder_needs_a_map() -> None:
    folders = Counter(path.parent for path in FILES if path.stem != "__init__")
    full = {folder.relative_to(ROOT).as_posix() for folder, files in folders.items() if files > 15}
    assert full == set()


def test_a_prefix_that_three_files_share_is_a_folder() -> None:
    prefixes = Counter((path.parent, path.stem.split("_")[0]) for path in FILES if path.stem[0] != "_")
    shared = {
        f"{folder.relative_to(ROOT).as_posix()}/{prefix}_*"
        for (folder, prefix), files in prefixes.items()
        if files > 2
    }
    assert shared == set()


def _strings(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Line and text of each string, and whether it stands alone, as docstrings do."""
    alone = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value, id(node) in alone


def test_only_the_command_line_knows_flags() -> None:
    """Errors carry a Remedy, a setting and its value; cli/remedies.py words it as a flag."""
    flags = [
        f"{module}:{line} {text!r}"
        for module, tree in TREES.items()
        if not _is_below(module, ("cli",))
        for line, text, alone in _strings(tree)
        if not alone and re.search(r"--[a-z]", text) and text not in FLAGS_OF_OTHER_PROGRAMS
    ]
    assert flags == []


def test_only_the_command_line_knows_commands() -> None:
    """Errors carry a Remedy whose setting is an action; docstrings may name commands."""
    named = re.compile(rf"\brescli ({'|'.join(registry.names('commands'))})\b")
    commands = [
        f"{module}:{line} {text!r}"
        for module, tree in TREES.items()
        if not _is_below(module, ("cli",))
        for line, text, alone in _strings(tree)
        if not alone and named.search(text)
    ]
    assert commands == []


def test_no_docstring_begins_in_the_middle_of_a_sentence() -> None:
    begun = [
        f"{module}:{line}"
        for module, tree in TREES.items()
        for line, text, alone in _strings(tree)
        if alone and re.match(r"\s*(Of|Raises:)\s", text)
    ]
    assert begun == []


def test_a_string_alone_says_something_of_what_stands_before_it() -> None:
    """A docstring, or the line below a constant; anything else is a leftover."""
    leftover = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for before, node in pairwise(tree.body)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and not isinstance(before, ast.Assign | ast.AnnAssign)
    ]
    assert leftover == []


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_name_has_one_home(module: str) -> None:
    """Nothing is exported that another module defines."""
    if module.rpartition(".")[2] in {"rescli", "spec"} or module in PASSED_ON:
        return
    exported = {
        name.value
        for node in TREES[module].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.walk(node.value)
        if isinstance(name, ast.Constant)
    }
    imported = {
        alias.asname or alias.name
        for node in TREES[module].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert exported & imported == set()


def test_what_crosses_a_door_is_a_type() -> None:
    untyped = Counter(
        _top(_module(path))
        for path in FILES
        for _ in re.finditer(r"dict\[str, Any\]", path.read_text(encoding="utf-8"))
    )
    assert sum(untyped.values()) <= 40, untyped


@pytest.mark.parametrize("command", registry.names("commands"))
def test_every_command_is_a_function_of_the_workflows(command: str) -> None:
    """cli parses, calls it once and prints, so that a notebook can call the same."""
    distribution, target = registry.origin("commands", command)
    assert distribution == "rescli"
    called = [found.target for found in IMPORTS[target.partition(":")[0]]]
    assert any(target.startswith("rescli.workflows.") for target in called)


PARSING_AND_PRINTING = {
    *("choose_changes", "choose_spec", "warm_start_from", "named_checkpoint"),
    *("parse_override", "parse_overrides"),
    *(
        "differing_keys",
        "default_run_path",
        "to_toml",
        "differences",
        "ledger",
        "write_atomically",
        "require_nameable",
    ),
    *("is_first", "is_restart", "launched", "leave_ranks"),
}
"""Functions below the workflows that cli may call: they parse what was typed, or word a result."""


def test_the_command_line_leaves_the_work_to_the_workflows() -> None:
    called = {
        alias.name: module
        for module, tree in TREES.items()
        if module.startswith("rescli.cli.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and re.match(rf"rescli\.({'|'.join(WORKING_ROOMS)})(\.|$)", str(node.module))
        for alias in node.names
        if not alias.name[0].isupper()
    }
    assert called.keys() - PARSING_AND_PRINTING == set(), called


WORKING_ROOMS = (
    *("spec", "plan", "kernels", "hardware", "models", "data", "optim", "training", "evaluation"),
    *("checkpoints", "runs", "studies", "exporters", "importers", "loggers", "bench", "files"),
)


def _sort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Constants, then classes, then functions; numbers by their size: Cifar10Spec before Cifar100Spec."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    pieces = re.findall(r"\d+|\D+", name)
    return kind, [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


def _defines(tree: ast.Module) -> bool:
    return any(isinstance(n, ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign) for n in tree.body)


PUBLIC = [
    module
    for module, tree in TREES.items()
    if module != "rescli" and _defines(tree) and not any(part.startswith("_") for part in module.split("."))
]


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_module_exports_on_purpose_and_in_order(module: str) -> None:
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        if error.name != "triton":
            raise
        pytest.skip("Triton is not installed")
    assert loaded.__all__ == sorted(loaded.__all__, key=_sort_key)
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


def _modules_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after ``code``, which may exit and print what it likes."""
    tail = "import sys; sys.stderr.write('MODULES ' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n    {code}\nexcept SystemExit: pass\n{tail}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    before, _, after = done.stderr.rpartition("MODULES ")
    assert before == ""
    return {name.split(".")[0] for name in after.split()}


def test_help_waits_for_no_heavy_import() -> None:
    for words in (["--help"], ["train", "--help"], ["models", "show", "--help"]):
        call = f"import sys, rescli.cli.app; sys.argv = {['rescli', *words]}; rescli.cli.app.main()"
        modules = _modules_after(call)
        assert "typer" in modules
        assert not modules & (TORCH_FREE | {"pydantic", "rich"})


def test_a_dry_run_imports_no_torch() -> None:
    argv = "['rescli', 'train', 'quickstart', '--dry-run']"
    modules = _modules_after(f"import sys, rescli.cli.app; sys.argv = {argv}; rescli.cli.app.main()")
    assert "pydantic" in modules
    assert not modules & TORCH_FREE
