"""Copies that are killed and resumed, by real processes where those are the subject, else by small ones."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
import tempfile
import threading
from _thread import interrupt_main
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shape_run import CPU_FP32, begin

from rescli import registry
from rescli.errors import CheckpointError, DataError, RunDirError, UsageError, VerificationError
from rescli.runs.directory import RunDir
from rescli.runs.saved_state import load_state, save_state
from rescli.spec.load import load_spec
from rescli.workflows.trust.children import Child
from rescli.workflows.trust.copies import plan_copies
from rescli.workflows.trust.timeline import Moment, Training
from rescli.workflows.trust.verify_resume import verify_resume

killing = importlib.import_module("rescli.workflows.trust.verify_resume")

WALL_TIME = """
import time
from dataclasses import dataclass
from typing import Literal
from rescli.optim.schedules import MultiStep
from rescli.optim.specs import MultiStepSpec

BEGAN = time.time()

@dataclass(frozen=True)
class ByTheClock(MultiStep):
    def factor(self, step, trigger):
        return 1.0 + (time.time() - BEGAN) / 100

class ByTheClockSpec(MultiStepSpec):
    kind: Literal["clock"] = "clock"
    def build(self):
        return ByTheClock(self.milestones, self.gamma)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies come to lie, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished after 6 iterations."""
    run_dir, _ = begin(tmp_path_factory.mktemp("verify") / "run", CPU_FP32)
    return run_dir.path


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        + str(path.stat().st_mtime_ns)
        for path in files
    }


def python(code: str) -> Callable[[Child], Sequence[str]]:
    return lambda child: [sys.executable, "-S", "-c", code, str(child.run_dir)]


def test_a_run_of_this_machine_is_proved_and_stays_as_it_is(
    rescli: Callable[..., Any], run: Path, temporary: Path
) -> None:
    before = hashes(run)
    answer = rescli("verify", "resume", run, "--iterations", 16, "--seed", 3, "--json")
    assert answer.code == 0, answer.err
    assert hashes(run) == before
    assert list(temporary.iterdir()) == []
    found = answer.json
    assert found["ok"]
    assert (found["from_iteration"], found["iterations"], found["seed"]) == (6, 16, 3)
    assert found["saved_states"] >= 2
    assert found["evaluations"] >= 1
    assert found["epoch_borders"] == 1  # at 100 images, of 8 an iteration
    assert found["tensors"] == 68
    assert [each["equal"] for each in found["compared"]] == [True] * 8
    (kill,) = found["kills"]
    assert 6 <= kill["went_on_from"] <= kill["near_iteration"] < 22
    assert (found["device"].split()[0], found["precision"], found["engine"]) == ("cpu", "fp32", "eager")
    assert found["first_difference"] is None


def test_a_schedule_that_looks_at_the_clock_is_found_out(
    rescli: Callable[..., Any], tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copies begin anew, since the run saved no state, and differ from their first step on."""
    site = tmp_path / "site"
    info = site / "clock-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clock\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rescli.schedules]\nclock = by_the_clock:ByTheClockSpec\n")
    (site / "by_the_clock.py").write_text(WALL_TIME)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    registry._table.cache_clear()
    try:
        sizes = {"kind": "shapes", "num_train": 60, "num_val": 20, "num_test": 20}
        changes = [
            ("model", {"kind": "resnet", "depth": 8}),
            ("data.dataset", sizes),
            ("data.batch_size", 8),
            ("schedule", {"kind": "clock"}),
        ]
        run_dir = RunDir(tmp_path / "run")
        run_dir.path.mkdir()
        run_dir.write_spec(load_spec("shapes/base", changes))
        answer = rescli("verify", "resume", run_dir.path, "--iterations", 6, "--device", "cpu")
    finally:
        registry._table.cache_clear()
    assert answer.code == 6, answer.err
    assert re.search(r"^resume    DIFFERENT: bn1\.bias, by up to \d", answer.out)
    assert "the first difference: bn1.bias, by up to" in answer.err
    assert "the run has no saved state: the copies began anew" in answer.out
    assert list(temporary.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(run: Path, temporary: Path) -> None:
    marker = temporary.parent / "alive"
    sleeper = python(f"import time\nwhile True: open({str(marker)!r}, 'w').close(); time.sleep(0.02)")
    threading.Timer(0.6, interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        verify_resume(run, launch=sleeper)
    assert list(temporary.iterdir()) == []
    marker.unlink()
    threading.Event().wait(0.2)
    assert not marker.exists(), "the process goes on"


def test_images_that_are_gone_are_an_error_of_the_data(run: Path, temporary: Path) -> None:
    failing = python("import sys; sys.stderr.write('error: no images.\\n'); sys.exit(3)")
    with pytest.raises(DataError, match=r"cannot be trained here: no images\."):
        verify_resume(run, launch=failing)
    assert list(temporary.iterdir()) == []


TRAINS = """
import json, pathlib, sys, time
run = pathlib.Path(sys.argv[1])
(run / "record.json").write_text(json.dumps({"results": {}, "n": time.time_ns()}))
for step in range(7, 10):
    time.sleep(0.1)
    pointer = {"file": f"{step:08d}-x.safetensors", "sha256": "0" * 64}
    (run / "state" / "latest.json").write_text(json.dumps(pointer))
"""


@pytest.mark.parametrize(
    ("resumed", "said"),
    [
        ("import sys; sys.stderr.write('error: no.\\n'); sys.exit(4)", r"ended with code 4: no\."),
        ("import os; os.kill(os.getpid(), 15)", "was ended by SIGTERM"),
    ],
)
def test_a_resume_that_fails_is_a_failed_verification(
    run: Path, temporary: Path, resumed: str, said: str
) -> None:
    begun = []

    def launch(child: Child) -> Sequence[str]:
        begun.append(child)
        return python(resumed if len(begun) == 3 else TRAINS)(child)

    with pytest.raises(VerificationError, match=said):
        verify_resume(run, launch=launch, seed=1)
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("saved", [False, True])
def test_a_copy_killed_before_its_first_state_goes_on_where_it_began(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: bool
) -> None:
    """Resumed without a device, it would begin anew on the best there is, and differ."""
    begun = Child(tmp_path / "run", tmp_path / "run.toml", "cpu", tmp_path / "images")
    resumed: list[Child] = []
    planned = replace(plan_copies(RunDir.open(run), 8, "cpu", tmp_path / "images"), saved=None)
    monkeypatch.setattr(killing, "train_and_kill", lambda *_: Moment(None, 0.0))
    monkeypatch.setattr(killing, "resume_to_the_end", lambda *_: None)
    monkeypatch.setattr(type(planned), "prepare", lambda *_: begun)
    if saved:
        pointer = {"file": "00000007-x.safetensors", "sha256": "0" * 64}
        (tmp_path / "run" / "state").mkdir(parents=True)
        (tmp_path / "run" / "state" / "latest.json").write_text(json.dumps(pointer))

    def launch(child: Child) -> Sequence[str]:
        resumed.append(child)
        return []

    killing._kill_and_resume(
        planned,
        RunDir(tmp_path / "run"),
        Training(((0, 0.0),), 1.0, 1.0),
        [Moment(None, 0.0)],
        launch,
        lambda _: None,
    )
    where = (None, None) if saved else ("cpu", tmp_path / "images")
    assert resumed == [begun, Child(tmp_path / "run", None, *where)]


@pytest.mark.usefixtures("temporary")
def test_what_ends_before_it_can_be_killed_needs_more_iterations(run: Path) -> None:
    def launch(child: Child) -> Sequence[str]:
        return python(TRAINS if child.run_dir.name == "whole" else "")(child)

    with pytest.raises(UsageError, match="ends too soon to be killed") as caught:
        verify_resume(run, launch=launch, iterations=12)
    assert [str(remedy) for remedy in caught.value.remedies] == ["iterations=120"]


def test_a_run_that_was_trained_elsewhere_goes_on_here_and_says_so(run: Path, temporary: Path) -> None:
    copy = RunDir(temporary / "run")
    shutil.copytree(run, copy.path)
    saved = load_state(copy.state, copy.read_spec())
    assert saved is not None
    save_state(
        copy.state, replace(saved, device="cuda:0", kernels="triton", engine="graph"), copy.read_spec()
    )
    record = json.loads(copy.record.read_text())
    record["device"], record["ranks"] = "cuda:0 (NVIDIA H100)", 2
    copy.record.write_text(json.dumps(record))
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    job = plan_copies(copy, 8, "auto", None)
    assert job.saved is not None
    assert (job.saved.device, job.saved.engine, job.saved.kernels) == (job.device, "auto", "auto")
    assert f"trained on cuda:0 (NVIDIA H100), and the copies on {job.device}" in job.notes[0]
    assert "not proved for 2" in job.notes[1]


def test_no_run_a_damaged_state_and_odd_numbers_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="does not exist"):
        verify_resume(tmp_path / "none")
    with pytest.raises(UsageError, match="iterations must be from 4 to"):
        verify_resume(run, iterations=1)
    shutil.copytree(run, tmp_path / "damaged")
    (state,) = (tmp_path / "damaged" / "state").glob("*.safetensors")
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        verify_resume(tmp_path / "damaged")


def test_no_place_for_the_copies(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="there is no place for the copies"):
        verify_resume(run)
