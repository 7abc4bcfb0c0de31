"""A run of another machine is believed only where its parts agree."""

import json
import shutil
from dataclasses import replace

import pytest
from shape_run import CPU_FP32, SMALL, begin

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.specs import ShapesSpec
from rescli.errors import VerificationError
from rescli.runs.directory import RunDir
from rescli.spec.load import load_spec
from rescli.studies.evidence.foreign_run import read_foreign_run

SPEC = load_spec("shapes/base", SMALL)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    folder = tmp_path_factory.mktemp("there")
    begin(folder / "run", CPU_FP32)
    return folder / "run"


@pytest.fixture
def run(there, tmp_path):
    """A copy of a finished run, to be damaged."""
    shutil.copytree(there, tmp_path / "run")
    return RunDir(tmp_path / "run")


def refuses(run, says):
    with pytest.raises(VerificationError, match=says):
        read_foreign_run(run.path, SPEC)


def test_a_checkpoint_with_a_test_error_that_no_training_leaves(run):
    last = Checkpoint.read(run.last)
    test = {"iteration": 6, "top1_error": 1.23, "selection": "last"}
    replace(last, results={**last.results, "test": test}).write(run.last)
    refuses(run, "last.safetensors holds errors of test")


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        (["val"], "the images of val, where a run of its spec has those of train, val"),
        (["train"], "the images of train, where"),
        (["train", "val", "test"], "the images of test, train, val, where"),
        ([], "does not say which images"),
    ],
)
def test_images_of_other_splits_than_a_training_reads(run, splits, says):
    """Both in the record and in the checkpoints: they agree, and say too little or too much."""
    record = json.loads(run.record.read_text())
    known = {**record["data"]["sha256"], "test": "0" * 64}
    record["data"]["sha256"] = {split: known[split] for split in splits}
    run.record.write_text(json.dumps(record))
    for path in (run.last, run.best):
        replace(Checkpoint.read(path), data=record["data"]).write(path)
    refuses(run, says)


def test_without_a_validation_part_no_images_of_one_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(ShapesSpec, "sizes", {"train": 100, "val": 0, "test": 20})
    begin(tmp_path / "run", CPU_FP32)
    found = read_foreign_run(tmp_path / "run", SPEC)
    assert found.data_sha256.keys() == {"train"}


@pytest.mark.parametrize("changes", [{"iteration": 1}, {"top1_error": 1.0}])
def test_a_best_checkpoint_that_is_none_of_this_run(run, changes):
    best = Checkpoint.read(run.best)
    val = {**best.results["val"], **changes}
    replace(best, iteration=val["iteration"], results={**best.results, "val": val}).write(run.best)
    said = (
        f"best.safetensors is of iteration {val['iteration']} with {val['top1_error']} % on val; the best in"
    )
    refuses(run, said)


def test_the_iteration_of_a_best_checkpoint_counts_as_well(run):
    best = Checkpoint.read(run.best)
    replace(best, iteration=best.iteration + 1).write(run.best)
    refuses(run, "best.safetensors is of iteration")


def test_a_best_in_record_and_checkpoint_that_the_log_does_not_have(run):
    record = json.loads(run.record.read_text())
    record["results"]["val"]["best_val"]["top1_error"] = 1.0
    run.record.write_text(json.dumps(record))
    best = Checkpoint.read(run.best)
    val = {**best.results["val"], "top1_error": 1.0}
    replace(best, results={**best.results, "val": val}).write(run.best)
    refuses(run, "metrics.jsonl has another best evaluation than record.json")


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_checkpoint_of_another_precision_than_the_record_says(run, name):
    path = getattr(run, name)
    replace(Checkpoint.read(path), precision="bf16").write(path)
    refuses(run, f"{name}.safetensors was trained in bf16, record.json says fp32")


def test_a_run_that_was_made_longer_agrees_with_itself(there, tmp_path): ...
