"""Who may import whom, and what the first screen waits for."""

from __future__ import annotations

import os
import subprocess
import sys

from house import IMPORTS, LEVELS, ROOT, TREES, importing, is_below, level_of, own_imports, sees, top_room

SIBLINGS = ("models", "data", "optim")
"""On one level, and not to import each other."""

TORCH_FREE = {"torch", "torchvision", "numpy", "matplotlib"}


def test_imports_point_one_way() -> None:
    upward = [
        sees(module, found)
        for module in TREES.keys() - {"rescli"}  # the front door, which opens everything
        for found in own_imports(module, lazy=False)
        if found.target != "rescli" and level_of(found.target) > level_of(module)
    ]
    assert upward == []


def test_no_room_in_the_list_of_levels_is_a_ghost() -> None:
    names = [f"rescli.{name}".removeprefix("rescli.rescli") or "rescli" for level in LEVELS for name in level]
    assert [name for name in names if name not in TREES] == []


def test_siblings_do_not_import_each_other() -> None:
    """Not even lazily, or for the sake of a type."""
    seen = [
        sees(module, found)
        for module in TREES
        for found in own_imports(module, typing=None)
        if is_below(module, SIBLINGS)
        and is_below(found.target, SIBLINGS)
        and top_room(found.target) != top_room(module)
    ]
    assert seen == []


def test_no_circle_of_imports() -> None:
    waiting = {
        module: {found.target for found in own_imports(module, lazy=False) if found.target != "rescli"}
        for module in TREES
    }
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert waiting == {}


ONLY_ON_A_GPU = {"rescli.kernels.crop.triton", "rescli.kernels.norm.triton"}
"""They import Triton, for which a start on the CPU does not wait."""


def test_lazy_imports_only_in_build_and_in_commands_and_their_workflows() -> None:
    lazy = [
        sees(module, found)
        for module in TREES
        for found in own_imports(module, lazy=True)
        if not is_below(module, ("cli", "workflows", "__main__"))  # which answers signals meanwhile
        and not module.endswith(".specs")
        and found.target not in ONLY_ON_A_GPU
    ]
    assert lazy == []


def test_up_to_the_plan_nothing_imports_torch() -> None:
    heavy = [
        sees(module, found)
        for module in TREES
        for found in IMPORTS[module]
        if level_of(module) <= level_of("rescli.plan")
        and not found.lazy
        and not found.typing
        and found.target.split(".")[0] in TORCH_FREE
    ]
    assert heavy == []


def test_models_data_optim_and_training_know_no_spec() -> None:
    seen = [
        sees(module, found)
        for module in TREES
        for found in own_imports(module, typing=None)
        if is_below(module, (*SIBLINGS, "training", "kernels"))
        and not module.endswith(".specs")
        and (found.target.startswith("rescli.spec") or found.target.endswith(".specs"))
    ]
    assert seen == []


def test_nothing_imports_click() -> None:
    assert importing(list(TREES), "click") == []


def modules_after(code: str) -> set[str]:
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
    helps = ([], ["train"], ["models", "show"], ["doctor"], ["verify", "resume"])
    for words in ([*words, "--help"] for words in helps):
        call = f"import sys, rescli.cli.app; sys.argv = {['rescli', *words]}; rescli.cli.app.main()"
        modules = modules_after(call)
        assert "typer" in modules
        assert not modules & (TORCH_FREE | {"pydantic", "rich"})


def test_a_dry_run_imports_no_torch() -> None:
    argv = "['rescli', 'train', 'quickstart', '--dry-run']"
    modules = modules_after(f"import sys, rescli.cli.app; sys.argv = {argv}; rescli.cli.app.main()")
    assert "pydantic" in modules
    assert not modules & TORCH_FREE
