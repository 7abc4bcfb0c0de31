"""``rescli reproduce TARGET --import-runs DIR``: runs of another machine, checked and taken in."""

import gzip
import json
import shutil
from dataclasses import replace

import pytest

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.runs.directory import RunDir
from rescli.workflows.reproduce import reproduce

CHANGES = {
    "data.dataset": {"kind": "shapes", "num_train": 60, "num_val": 30, "num_test": 40},
    "data.batch_size": 8,
    "model.width": 4,
    "iterations": 4,
    "evaluation.every": 2,
    "metrics.every": 2,
}
SETS = ["data.dataset={kind='shapes', num_train=60, num_val=30, num_test=40}", "data.batch_size=8"]
SETS += ["model.width=4", "iterations=4", "evaluation.every=2", "metrics.every=2"]
FLAGS = ["--device", "cpu", "-q", *(part for text in SETS for part in ("--set", text)), "--json"]
TABLE = ("reproduce", "table6", "--only", "resnet-20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of another machine with its run of ResNet-20."""
    there = tmp_path_factory.mktemp("there")
    reproduce(
        "table6", only="resnet-20", changes=CHANGES, runs=there / "runs", out=there / "out", device="cpu"
    )
    return there / "runs"


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    """The same as it was copied to a folder ``gpu``; the working directory holds nothing else."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "gpu")
    return tmp_path / "gpu"


def only_run(folder):
    (path,) = [path for path in folder.iterdir() if (path / "spec.toml").exists()]
    return RunDir(path)


def edit_record(run_dir, **changes):
    run_dir.record.write_text(json.dumps({**json.loads(run_dir.record.read_text()), **changes}))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_whole_is_taken_in_and_not_trained_again(rescli, copied, tmp_path, monkeypatch):
    import rescli.studies.queue as campaign

    monkeypatch.setattr(campaign, "execute", None)
    there = contents(copied)
    answer = rescli(*TABLE, "--import-runs", copied.name, *FLAGS)
    assert answer.code == 0, answer.err
    (row,) = [row for row in answer.json["rows"] if row["measured"]]
    assert row["runs"][0]["imported"]["folder"] == f"gpu/{only_run(copied).path.name}"
    assert [one["outcome"] for one in answer.json["imported"]] == ["taken"]
    here = only_run(tmp_path / "runs")
    assert here.path.name == only_run(copied).path.name
    assert contents(copied) == there
    assert here.last.read_bytes() == only_run(copied).last.read_bytes()
    assert {path.name for path in here.path.iterdir()} >= {"spec.toml", "metrics.jsonl", "checkpoints"}
    record, origin = (json.loads(run.record.read_text()) for run in (here, only_run(copied)))
    assert record["imported"]["date"].endswith("+00:00")
    for key in ("device", "versions", "sessions", "train_seconds"):
        assert record[key] == origin[key]


def test_four_files_are_enough_and_the_log_may_be_packed(rescli, copied, tmp_path):
    run = only_run(copied)
    log = run.metrics.read_bytes()
    (run.path / "metrics.jsonl.gz").write_bytes(gzip.compress(log))
    for path in (run.metrics, run.best, run.curves, run.test_openings):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.state)
    answer = rescli(*TABLE, "--import-runs", run.path, "--status", *FLAGS)
    assert answer.code == 0, answer.err
    assert answer.json["counts"]["finished"] == 1
    assert only_run(tmp_path / "runs").metrics.read_bytes() == log


def test_a_test_error_of_elsewhere_is_not_taken_over_but_measured_here(rescli, copied, tmp_path):
    run = only_run(copied)
    record = json.loads(run.record.read_text())
    measured = record["results"]["test"]["top1_error"]
    record["results"]["test"]["top1_error"] = 1.23
    edit_record(run, results=record["results"])
    openings = run.test_openings.read_bytes()
    status = (*TABLE, "--status", *FLAGS)
    answer = rescli(*status, "--import-runs", copied.name)
    assert answer.code == 0, answer.err
    here = only_run(tmp_path / "runs")
    assert answer.json["rows"][0]["test_error"] is None
    assert set(json.loads(here.record.read_text())["results"]) == {"train", "val"}
    assert here.test_openings.read_bytes() == openings
    assert rescli(*TABLE, "--no-train", *FLAGS).code == 0
    assert rescli(*status).json["rows"][0]["test_error"] == measured
    assert len(here.test_openings.read_bytes().splitlines()) == len(openings.splitlines()) + 1


def test_what_is_here_already_stays(rescli, copied, tmp_path):
    rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    before = contents(tmp_path / "runs")
    again = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    assert (again.code, again.json["imported"][0]["outcome"]) == (0, "here already")
    assert contents(tmp_path / "runs") == before


def trained_elsewhere(run):
    """As of another processor: the weights are a little others."""
    last = Checkpoint.read(run.last)
    name = next(name for name in last.tensors if name.endswith("weight"))
    replace(last, tensors={**last.tensors, name: last.tensors[name] + 1e-6}).write(run.last)
    edit_record(run, device="cuda (made H200)")


@pytest.mark.parametrize("named", [False, True])
def test_a_run_that_is_finished_here_with_other_weights_is_not_needed(rescli, copied, tmp_path, named):
    rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    before = only_run(tmp_path / "runs").last.read_bytes()
    run = only_run(copied)
    trained_elsewhere(run)
    given = run.path if named else copied.name
    again = rescli(*TABLE, "--import-runs", given, *FLAGS)
    assert again.code == 0, again.err
    (told,) = again.json["imported"]
    assert told["outcome"] == "not needed"
    ours = json.loads(only_run(tmp_path / "runs").record.read_text())["device"]
    assert told["reason"] == f"finished here, with other weights: here on {ours}, there on cuda (made H200)"
    assert only_run(tmp_path / "runs").last.read_bytes() == before


def test_a_run_that_is_begun_here_is_not_overwritten(rescli, copied, tmp_path):
    run = only_run(copied)
    here = RunDir(tmp_path / "runs" / run.path.name)
    here.path.mkdir(parents=True)
    here.spec.write_bytes(run.spec.read_bytes())
    answer = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    assert answer.code == 6
    assert "is begun here" in answer.err
    assert [path.name for path in here.path.iterdir()] == ["spec.toml"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def drop_row(run, iteration):
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    kept = [row for row in rows if row["iteration"] != iteration]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in kept))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def link_out(run):
    elsewhere = run.path.parent / "secret"
    elsewhere.write_bytes(run.metrics.read_bytes())
    run.metrics.unlink()
    run.metrics.symlink_to(elsewhere)


def other_images(run):
    data = json.loads(run.record.read_text())["data"]
    edit_record(run, data={**data, "sha256": {**data["sha256"], "train": "0" * 64}})


BROKEN = {
    "no checkpoint": (lambda run: run.last.unlink(), "is missing: without it the run cannot be tested here"),
    "a cut checkpoint": (lambda run: cut(run.last), "is not a whole safetensors file"),
    "a flipped bit": (lambda run: flip_a_bit(run.last), "its content is not what was written"),
    "best in place of last": (lambda run: shutil.copy(run.best, run.last), "holds other weights"),
    "a damaged best": (lambda run: cut(run.best), "is not a whole safetensors file"),
    "a huge head": (
        lambda run: run.last.write_bytes((2**62).to_bytes(8, "little") + b"{}"),
        "is not a whole safetensors file",
    ),
    "no record": (lambda run: run.record.unlink(), "record.json"),
    "an interrupted run": (
        lambda run: edit_record(run, status="interrupted", iterations_done=2),
        "is not finished: its record says interrupted at iteration 2 of 4",
    ),
    "a record of another spec": (lambda run: edit_record(run, spec_sha256="0" * 64), "another spec"),
    "other images": (other_images, "other images than record.json says"),
    "no log": (lambda run: run.metrics.unlink(), "metrics.jsonl is missing"),
    "a log without an end": (lambda run: drop_row(run, 4), "no row of train at iteration 4"),
    "a log with a hole": (lambda run: drop_row(run, 2), "no row of train at iteration 2"),
    "a log twice over": (
        lambda run: run.metrics.write_bytes(2 * run.metrics.read_bytes()),
        "is not in order",
    ),
    "a link to elsewhere": (link_out, "is a link that leads out of the folder"),
    "a damaged spec": (lambda run: run.spec.write_text("seed ="), "is damaged"),
    "no spec": (lambda run: run.spec.unlink(), "spec.toml"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_fails_a_check_is_named_and_nothing_of_it_is_left(rescli, copied, tmp_path, what):
    run = only_run(copied)
    damage, says = BROKEN[what]
    damage(run)
    answer = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    assert answer.code == 6, answer.err
    assert says in answer.err
    (told,) = answer.json["imported"]
    assert (told["outcome"], told["folder"]) == ("refused", f"gpu/{run.path.name}")
    assert not (tmp_path / "runs").exists() or list((tmp_path / "runs").iterdir()) == []


def test_a_run_that_somebody_trains_is_refused(rescli, copied):
    with only_run(copied).locked():
        answer = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    assert answer.code == 6
    assert "is in use" in answer.err


def test_one_that_is_refused_ends_no_other_and_nothing_is_trained(rescli, copied, tmp_path):
    broken = copied / "broken"
    shutil.copytree(only_run(copied).path, broken)
    (broken / "checkpoints" / "last.safetensors").unlink()
    whole = only_run_named(copied, "broken")
    answer = rescli(*TABLE, "--only", "resnet-32", "--import-runs", copied.name, *FLAGS)
    assert answer.code == 6
    assert "and nothing is trained: gpu/broken: " in answer.err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [whole.name]
    table = rescli(*TABLE, "--import-runs", copied.name, "--no-train", *FLAGS)
    assert table.code == 6
    assert [one["outcome"] for one in table.json["imported"]] == ["refused", "here already"]
    assert any(row["measured"] for row in table.json["rows"])


def only_run_named(folder, other):
    (path,) = [path for path in folder.iterdir() if path.name != other]
    return path


def test_what_is_of_another_net_or_seed_is_left(rescli, copied, tmp_path):
    answer = rescli(
        "reproduce", "table6", "--only", "resnet-32", "--import-runs", copied.name, "--status", *FLAGS
    )
    assert (answer.code, answer.json["imported"][0]["outcome"]) == (0, "not needed")
    later = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS, "--set", "seed=5")
    assert later.code == 0
    assert "seed 0 is not among those wanted: 5" in later.json["imported"][0]["reason"]
    named = rescli(*TABLE, "--import-runs", only_run(copied).path, "--status", *FLAGS, "--set", "seed=5")
    assert named.code == 6
    assert not (tmp_path / "runs").exists()


def test_another_recipe_is_refused_with_its_keys_and_what_takes_it(rescli, copied):
    flags = (*TABLE, "--import-runs", copied.name, "--status", *FLAGS)
    answer = rescli(*flags, "--set", "optimizer.lr=0.05")
    assert answer.code == 6
    assert "its spec is not that of ResNet-20 A: optimizer.lr is 0.1, wanted 0.05" in answer.err
    answer = rescli(*flags, "--set", "precision=fp32")
    assert "precision is auto, wanted fp32" in answer.err
    assert "--set precision=auto" in answer.err
    assert rescli(*flags, "--set", "precision=auto").code == 0


@pytest.mark.parametrize("flags", [("--dry-run",), ("--budget", "2h")])
def test_what_does_not_go_with_it_is_refused(rescli, copied, tmp_path, flags):
    answer = rescli(*TABLE, "--import-runs", copied.name, *FLAGS, *flags)
    assert answer.code == 2
    assert f"do not go with {' '.join(flags)}:" in answer.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("given", "says"), [("nowhere", "cannot be read"), ("empty", "holds no run")])
def test_a_folder_without_runs(rescli, copied, tmp_path, given, says):
    (tmp_path / "empty").mkdir()
    answer = rescli(*TABLE, "--import-runs", copied.name, "--import-runs", given, "--status", *FLAGS)
    assert answer.code == 2
    assert says in answer.err
    assert not (tmp_path / "runs").exists()


def test_names_of_strangers_reach_no_terminal(rescli, copied):
    only_run(copied).path.rename(copied / "x\x1b[2Jy")
    answer = rescli(*TABLE, "--import-runs", copied.name, "--status", *FLAGS[:-1])
    assert answer.code == 0
    assert "taken: gpu/x" in answer.out
    assert "\x1b" not in answer.out + answer.err
