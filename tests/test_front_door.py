"""``import rescli``: every function is there, and nothing heavy comes with it."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import rescli

FUNCTIONS = [name for name in rescli.__all__ if name not in ("__version__", "errors")]
ROOT = Path(__file__).resolve().parent.parent
TYPED = "tests/made/front_door_types.py"


def _python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_takes_less_than_50_ms_and_brings_nothing_heavy() -> None:
    program = (
        "import sys, time\n"
        "began = time.perf_counter()\n"
        "import rescli\n"
        "seconds = time.perf_counter() - began\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'pydantic', 'rich', 'typer'} & sys.modules.keys()\n"
        "print(seconds, sorted(heavy))"
    )
    # Of a few tries the fastest: a busy machine is not what is tested.
    answers = [_python(program).split(maxsplit=1) for _ in range(3)]
    assert {heavy for _, heavy in answers} == {"[]"}
    assert min(float(seconds) for seconds, _ in answers) < 0.05


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_name_is_a_function_that_tells_what_it_does(name: str) -> None:
    function: Callable[..., object] = getattr(rescli, name)
    assert callable(function)
    assert function.__doc__
    assert f"{name}(" in pydoc.render_doc(function, renderer=pydoc.plaintext)
    named = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    assert not named & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def test_what_is_offered_is_what_is_exported() -> None:
    assert dir(rescli) == sorted(rescli.__all__)


def test_errors_are_there_after_the_import_alone() -> None:
    assert _python("import rescli\nprint(rescli.errors.Interrupted.exit_code)") == "130"


def test_help_on_spec_is_of_the_function() -> None:
    shown = pydoc.render_doc(rescli.spec, renderer=pydoc.plaintext)
    assert "Read the spec of a training run" in shown
    assert "PACKAGE CONTENTS" not in shown
    assert list(inspect.signature(rescli.spec).parameters) == ["name", "changes", "dataset", "start_from"]


def test_the_room_behind_spec_is_imported_in_every_way() -> None:
    import rescli.spec.run as by_alias
    from rescli.spec.run import RunSpec

    assert by_alias.RunSpec is RunSpec is rescli.spec.run.RunSpec  # type: ignore[attr-defined]
    assert callable(rescli.spec)


def test_mypy_sees_every_function_used() -> None:
    """The house's own run of mypy checks that file; here only that nothing is missing from it."""
    assert TYPED in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    used = {
        node.attr
        for node in ast.walk(ast.parse((ROOT / TYPED).read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rescli"
    }
    assert used >= set(rescli.__all__)


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="'rescli' has no attribute 'trian'"):
        getattr(rescli, "trian")  # noqa: B009


@pytest.mark.parametrize("before", ["", "import rescli.spec.run\n", "import rescli.workflows.train\n"])
def test_spec_is_a_function_whatever_was_imported_before(before: str) -> None:
    program = f"{before}import rescli\nprint(rescli.spec('quickstart', {{'iterations': 7}}).iterations)"
    assert _python(program) == "7"


def test_the_room_behind_spec_is_imported_as_any_other() -> None:
    program = (
        "import rescli.spec.run\n"
        "from rescli.spec.run import RunSpec\n"
        "from rescli import spec\n"
        "print(isinstance(spec('quickstart'), RunSpec), spec is rescli.spec)"
    )
    assert _python(program) == "True True"


def test_a_spec_by_name_needs_no_torch() -> None:
    program = (
        "import sys, rescli\n"
        "spec = rescli.spec('plain-56', {'optimizer.lr': 0.05}, dataset='shapes')\n"
        "print(spec.name, 'torch' in sys.modules)"
    )
    assert _python(program) == "shapes-plain-56-seed0 False"


def test_a_network_with_changes_keeps_its_own_warm_up() -> None:
    plain = rescli.spec("resnet-110")
    changed = rescli.spec("resnet-110", {"iterations": 100})
    assert changed.schedule == plain.schedule
    assert changed.model == plain.model
    assert (changed.iterations, plain.iterations) == (100, 64000)
