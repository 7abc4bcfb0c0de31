"""Texts of strangers pass by one place each: what goes past a door, or builds one of its own, fails here."""

from __future__ import annotations

import ast

from house import TREES, is_below


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Calls of a function or class by its last name, with the module."""
    return [
        (module, node)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    ]


def where(found: list[tuple[str, ast.Call]]) -> list[str]:
    return [f"{module}:{call.lineno}" for module, call in found]


def test_rich_prints_through_one_console() -> None:
    """Any other would read markup and links in names, and pass escape sequences on."""
    assert where(calls("Console")) == []


def test_columns_of_progress_read_no_markup() -> None:
    columns = calls("TextColumn")
    assert len(columns) > 3
    reading = [
        (module, call)
        for module, call in columns
        if not isinstance(call.args[0], ast.Constant) or "{" in call.args[0].value
        if not any(one.arg == "markup" and ast.unparse(one.value) == "False" for one in call.keywords)
    ]
    assert where(reading) == []


def test_nothing_reads_markup() -> None:
    assert where(calls("from_markup") + calls("render_markup") + calls("from_ansi")) == []
    reading = [
        (module, call)
        for module, call in calls("print")
        if any(one.arg == "markup" and ast.unparse(one.value) != "False" for one in call.keywords)
    ]
    assert where(reading) == []


def test_standard_streams_are_not_reached_past_their_guard() -> None:
    """``print`` is guarded; bytes, descriptors and the streams of the interpreter are not."""
    past = [
        f"{module}:{node.lineno} {ast.unparse(node)}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node)
        in ("sys.stdout.buffer", "sys.stderr.buffer", "sys.__stdout__", "sys.__stderr__", "sys.displayhook")
    ]
    assert past == []
    written = [
        (module, call)
        for module, call in calls("write")
        # A pipe for pixels; the name of a signal, before there are streams.
        if module not in ("rescli.data.shapes.painter", "rescli.__main__")
        and ast.unparse(call.func) == "os.write"
        and ast.unparse(call.args[0]) in ("1", "2")
    ]
    assert where(written) == []


def test_escaping_has_one_home() -> None:
    """``foreign_text`` has a function for each reader; the libraries' own leave control characters alone."""
    own = calls("quote") + [one for one in calls("escape") if ast.unparse(one[1].func).startswith("html.")]
    assert {module for module, _ in own} == {"rescli.foreign_text"}


def test_templates_escape_whatever_they_are_given() -> None:
    """Each but the program beside an ONNX file, which gets nothing that a stranger wrote."""
    lax = [
        (module, call)
        for module, call in calls("Environment")
        if "finalize" not in {one.arg for one in call.keywords}
    ]
    assert {module for module, _ in lax} <= {"rescli.exporters.onnx.program"}


def test_json_on_the_screen_is_ascii() -> None:
    """Letters that a terminal obeys are then written as JSON writes them, which stays faithful."""
    loose = [
        (module, call)
        for module, call in calls("dumps")
        if is_below(module, ("cli", "report"))
        and any(one.arg == "ensure_ascii" for one in call.keywords)
        and module != "rescli.cli.remedies"
    ]
    assert where(loose) == []
