"""A run of another machine is believed only where its parts agree."""

import shutil
from dataclasses import replace

import pytest
from shape_run import CPU_FP32, SMALL, begin

from rescli.checkpoints.checkpoint import Checkpoint
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
