"""How many faults are tried, from which seed, and the table of what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from trials.case import COLUMNS, Case, Failed
from trials.jobs import Workplace
from trials.known import reason_to_stay
from trials.process import ForkServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    counts = getattr(metafunc.function, "faults", None)
    if counts is None:
        return
    options = metafunc.config.option
    count = counts[1] if options.faults == "long" else counts[0]
    if options.faults_count is not None:
        count = options.faults_count
    numbers = range(count) if options.faults_number is None else [options.faults_number]
    seed, part = options.faults_seed, metafunc.function.__name__.removeprefix("test_")
    cases = [Case(part, seed, number) for number in numbers]
    metafunc.parametrize("case", cases, ids=[f"{seed}-{case.number}" for case in cases])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the short part leaves to the long one is not there, rather than skipped."""
    left = [
        item
        for item in items
        if item.name.endswith("[NOTSET]") and hasattr(getattr(item, "function", None), "faults")
    ]
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)


@pytest.fixture(scope="session")
def workplace(
    forked: ForkServer, make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Workplace:
    """Folders in which every command that writes can be run, and what each leaves undisturbed."""
    native = tmp_path_factory.getbasetemp().parent / "native"
    native.mkdir(exist_ok=True)
    return Workplace(forked, tmp_path_factory.mktemp("jobs"), make_checkpoint("resnet-8"), native)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Note how the case ended, where the table finds it; what is known to fail is no failure."""
    case = pyfuncitem.funcargs.get("case")
    if not isinstance(case, Case) or not hasattr(pyfuncitem.function, "faults"):
        return (yield)
    column = ""
    try:
        return (yield)
    except Failed as failed:
        column, reason = failed.column, reason_to_stay(case, failed)
        if reason is not None:
            column = f"known: {reason}"
            pytest.xfail(f"{case}: {reason}")
        raise
    except pytest.skip.Exception:
        column = "skipped"
        raise
    except BaseException:
        column = "unjudged"
        raise
    finally:
        pyfuncitem.user_properties.append(("fault", [case.kind or case.part, column, str(case)]))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    found = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "fault" and value[1] != "skipped"
    ]
    if not found:
        return
    tried = Counter(kind for kind, _, _ in found)
    ended = Counter((kind, column.split(":")[0]) for kind, column, _ in found)
    heads = ("tried", *COLUMNS, "known")
    rows = {
        kind: [tried[kind], *(ended[kind, column] for column in (*COLUMNS, "known"))]
        for kind in sorted(tried)
    }
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    width = max(map(len, rows))
    terminalreporter.section("faults")
    terminalreporter.line(f"{'kind':{width}}  " + "  ".join(heads))
    for kind, numbers in rows.items():
        cells = (f"{number:{len(head)}}" for number, head in zip(numbers, heads, strict=True))
        terminalreporter.line(f"{kind:{width}}  " + "  ".join(cells))
    if config.option.faults_report:
        known = sorted(
            {
                (kind, column.removeprefix("known: "))
                for kind, column, _ in found
                if column.startswith("known: ")
            }
        )
        content = {
            "date": date.today().isoformat(),
            "seed": config.option.faults_seed,
            "columns": heads,
            "rows": rows,
            "known": known,
            "failed": sorted(name for _, column, name in found if column in (*COLUMNS, "unjudged")),
        }
        Path(config.option.faults_report).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
