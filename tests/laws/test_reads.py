"""Files are read through one door, which waits for no pipe and is told how much to take."""

from __future__ import annotations

import ast

from house import TREES

OF_THE_SYSTEM = (
    "rescli.hardware",
    "rescli.plan",
    "rescli.bench",
)
"""They read /proc and /sys, or locks that they hold."""

OF_ITS_OWN = (
    "rescli.files",
    "rescli.installation",
    "rescli.handbook",
    "rescli.registry",
    "rescli.data.specs",
    "rescli.studies.published",
    "rescli.kernels.c_compiler",
    "rescli.evaluation.logits.cache",
    "rescli.exporters.parity.readers",
    "rescli.exporters.huggingface.standalone_resnet",
    "rescli.cli.launch",
    "rescli.cli.train.passed_signals",
    "rescli.cli.train.processes",
    "rescli.workflows.trust.children",
    "rescli.cli.output.streams",
)
"""They read what is installed, or what their own processes wrote, or /dev/null."""

READING = ("read_bytes", "read_text")


def is_bare(call: ast.Call) -> bool:
    """Whether a call reads a path itself; where a file is made, or no pipe is waited for, it does not."""
    name = ast.unparse(call.func)
    if name.rpartition(".")[2] in READING or name == "os.open":
        return True
    if name not in ("open", "io.open"):
        return False
    mode = ast.unparse(call.args[1]) if len(call.args) > 1 else "'r'"
    openers = [ast.unparse(one.value) for one in call.keywords if one.arg == "opener"]
    return openers != ["without_waiting"] and not {*mode} & {*"wx"}


def reads() -> list[tuple[str, int]]:
    return [
        (module, node.lineno)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and is_bare(node)
    ]


def is_in(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"{room}.")


def test_files_are_read_through_one_door() -> None:
    rooms = (*OF_THE_SYSTEM, *OF_ITS_OWN)
    assert [one for one in reads() if not any(is_in(one[0], room) for room in rooms)] == []


def test_no_exception_is_one_for_nothing() -> None:
    modules = {module for module, _ in reads()}
    unused = [room for room in (*OF_THE_SYSTEM, *OF_ITS_OWN) if not any(is_in(one, room) for one in modules)]
    assert unused == []
