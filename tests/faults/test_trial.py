"""The suite itself: it must be able to see what it looks for."""

import signal

import pytest
from trials.case import Case, Failed, faults
from trials.table import Report


@faults(short=1, long=1)
def test_nothing_wrong(case, forked):
    case.tries("no fault", "--version")
    ended = forked.run("--version").require(case, 0)
    assert ended.out.startswith("rescli ")


@pytest.fixture
def case():
    return Case("trial", 1, 0)


def test_the_same_number_draws_the_same_case():
    assert Case("a", 1, 2).dice.random() == Case("a", 1, 2).dice.random() != Case("a", 1, 3).dice.random()


def test_a_killed_process_is_a_wrong_exit(case, forked, tiny, tmp_path):
    if forked.injector is None:
        pytest.skip("there is no C compiler")
    fault = {"at": 3, "do": "kill", "under": tmp_path / "run"}
    ended = forked.run(
        "train", *tiny, "--out", tmp_path / "run", fault={**fault, "under": str(fault["under"])}
    )
    assert ended.code == -signal.SIGKILL
    with pytest.raises(Failed, match="wrong exit"):
        ended.require(case)


def test_the_kth_operation_fails(case, forked, tiny, tmp_path):
    if forked.injector is None:
        pytest.skip("there is no C compiler")
    fault = {"at": 12, "do": "ENOSPC", "under": str(tmp_path / "run")}
    ended = forked.run("train", *tiny, "--out", tmp_path / "run", fault=fault).require(case, 2, 4)
    assert "No space left" in ended.err


def test_operations_are_counted_whoever_does_them(forked, tiny, tmp_path):
    if forked.injector is None:
        pytest.skip("there is no C compiler")
    fault = {"at": 1, "do": "count", "under": str(tmp_path)}
    ended = forked.run("train", *tiny, "--out", tmp_path / "run", fault=fault)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert ended.operations > 3 * len(files)


def test_two_processes_at_once(forked):
    one, other = forked.start("--version"), forked.start("presets")
    assert "quickstart" in other.wait().out
    assert one.wait().out.startswith("rescli ")


def test_the_table_counts_what_ended_how():
    found = [
        ("kill", "", "one"),
        ("kill", "hung", "two"),
        ("disk", "known: it is slow", "three"),
        ("disk", "", "four"),
    ]
    report = Report.of(found, date="2026-01-01", seed=1)
    assert report.lines()[1:] == [
        ["disk", "2", "0", "0", "0", "0", "0", "0", "1"],
        ["kill", "2", "0", "0", "0", "0", "1", "0", "0"],
        ["all", "4", "0", "0", "0", "0", "1", "0", "1"],
    ]
    both = report + Report.of([("kill", "", "one")], date="2026-01-02", seed=2)
    assert (both.date, both.seeds, both.rows["kill"][0]) == ("2026-01-02", [1, 2], 3)
    assert (both.failed, both.known) == (["hung: two"], [["disk", "it is slow"]])
