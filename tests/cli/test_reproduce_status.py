"""``rescli reproduce TARGET --status``."""

import json
import subprocess
import sys

import pytest

from rescli.runs.directory import RunDir
from rescli.studies.evidence.wanted import wanted_specs
from rescli.studies.paper_items import paper_item
from rescli.studies.queued_run import QueuedRun
from rescli.workflows.listings.reproduction_status import reproduction_status


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(runs, **record):
    """The first run of Table 6 on shapes, whose record says so."""
    specs, _ = wanted_specs(paper_item("table6"), ["ResNet-20"], 1, {"precision": "fp32"})
    run = QueuedRun.below(runs, next(iter(specs.values()))[0])
    run_dir = RunDir(run.path)
    run.path.mkdir(parents=True)
    run_dir.write_spec(run.spec)
    run_dir.record.write_text(json.dumps({"results": {}, **record}))
    return run_dir


def test_all_that_is_missing(rescli, here):
    answer = rescli("reproduce", "table6", "--status", "--seeds", 2)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0].endswith("12 runs: 12 missing")
    assert len([line for line in answer.out.splitlines() if line.startswith("ResNet-")]) == 12
    assert "8.75" in answer.out
    assert list(here.iterdir()) == []


def test_the_runs_are_those_that_a_training_would_have(rescli, here):
    run_dir = begun(here / "runs", status="interrupted", iterations_done=983, resumed_at=[100])
    flags = ("reproduce", "table6", "--status", "--json", "--only", "resnet-20")
    assert rescli(*flags).json["counts"]["missing"] == 1
    with run_dir.locked():
        found = rescli(*flags, "--set", "precision=fp32").json
    assert found["counts"] == {"finished": 0, "running": 1, "stopped": 0, "missing": 0, "damaged": 0}
    (row,) = found["rows"]
    assert (row["iteration"], row["percent"], row["resumes"]) == (983, 1.54, 1)
    assert row["run"] == str(run_dir.path.relative_to(here))
    assert found["not_run"]["ResNet-110 A"] == "left out by --only"


def test_which_runs_came_from_another_machine(rescli, here):
    origin = {"folder": "gpu/runs/x\x1b[2J", "date": "2026-01-02T03:04:05+00:00"}
    begun(here / "runs", imported=origin)
    flags = ("reproduce", "table6", "--status", "--only", "resnet-20", "--set", "precision=fp32")
    assert rescli(*flags, "--json").json["rows"][0]["imported"] == origin
    shown = rescli(*flags).out
    assert "2026-01-02 from gpu/runs/x" in shown
    assert "\x1b" not in shown


def test_what_is_wrong_stands_below_the_table(rescli, here):
    run_dir = begun(here / "runs", status="diverged", iterations_done=12)
    run_dir.record.write_text('{"results": {}, "status": "diverged\x1b[2J", "iterations_done": 1}')
    answer = rescli("reproduce", "table6", "--status", "--set", "precision=fp32", "--only", "resnet-20")
    assert answer.code == 0
    assert "ResNet-20 A, seed 0: " in answer.out
    assert "not run   ResNet-32 A, ResNet-44 A, " in answer.out
    assert "\x1b" not in answer.out


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--budget", "2h"), "--budget"),
        (("--dry-run",), "--dry-run"),
        (("--no-train", "--dry-run"), "--dry-run and --no-train"),
    ],
)
def test_what_does_not_go_with_it_is_refused(rescli, here, flags, named):
    answer = rescli("reproduce", "table6", "--status", *flags)
    assert answer.code == 2
    assert f"goes without {named}" in answer.err
    assert list(here.iterdir()) == []


def test_no_torch_is_imported(here):
    code = (
        "import sys; from rescli.cli.app import main\n"
        "sys.argv = ['rescli', 'reproduce', 'fig6', '--status']\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "10 runs: 10 missing" in done.stdout


def test_python_has_it_as_a_table(here):
    begun(here / "runs", status="interrupted", iterations_done=1, device="a & b")
    status = reproduction_status("table6", changes={"precision": "fp32"})
    assert status.counts["stopped"] == 1
    assert len(status.table()) == 6
    assert "a &amp; b" in status._repr_html_()
    assert "6 runs: 1 stopped, 5 missing" in repr(status) + status.summary
    assert json.loads(status.to_json())["target"] == "table6"
