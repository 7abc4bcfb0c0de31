"""The whole look at a machine: what it holds, what it raises, and that nothing ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.diagnosis import devices
from rescli.diagnosis.findings import Finding, Part
from rescli.diagnosis.speed import expected_speed
from rescli.errors import VerificationError
from rescli.training.engines.choose import ChosenKernels
from rescli.workflows.results.checkup import Checkup
from rescli.workflows.trust.doctor import doctor

PARTS = [
    *("versions", "processor", "gpu", "use", "threads", "memory", "shared memory", "data", "photographs"),
    *("run directory", "working folders", "left-overs", "environment", "other load", "speed"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Checkup:
    folder = tmp_path_factory.mktemp("doctor")
    checkup = doctor(folder / "runs", data_root=folder)
    assert list(folder.iterdir()) == []
    return checkup


def test_every_part_is_looked_at(here: Checkup) -> None:
    assert [part.name for part in here.parts] == PARTS
    assert not [one.text for _, one in here.of_level("note") if one.text.startswith("could not be looked at")]
    assert here.ok
    here.require_sound()


def test_the_json_is_all_of_it(here: Checkup) -> None:
    found = json.loads(json.dumps(here.to_json(), allow_nan=False))
    assert found["ok"] is True
    assert found["problems"] == 0
    assert len(found["findings"]) == sum(len(part.findings) for part in here.parts)
    assert found["facts"]["use"]["precision"] in ("fp32", "bf16")
    assert found["facts"]["run directory"]["locks"] is True


def test_it_shows_itself(here: Checkup) -> None:
    assert str(here).splitlines()[0] == "versions"
    assert repr(here).startswith("Checkup: ")
    assert here.table().heads == ("level", "part", "found", "what to do")
    assert here.summary in here._repr_html_()


def test_problems_are_raised_on_demand() -> None:
    checkup = Checkup((Part("data", (Finding("problem", "it is damaged"), Finding("note", "odd"))),), 0.1)
    assert not checkup.ok
    assert checkup.summary == "1 problem, 1 note; looked at in 0.1 s"
    with pytest.raises(VerificationError, match=r"^1 problem here\. data: it is damaged$"):
        checkup.require_sound()


def test_the_command_prints_it_and_fails_where_something_is_wrong(
    rescli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (tmp_path / "file").write_text("")
    answer = rescli("doctor", "--out", tmp_path / "file")
    assert answer.code == 6
    assert "error: 1 problem here. run directory: " in answer.err
    words = [line for line in answer.out.splitlines() if " " in line.strip()]
    assert [line for line in words if len(line) > 40 and "/" not in line] == []
    assert "problem" in answer.out
    assert "> --out DIR" in answer.out


def test_one_json_object_also_where_something_is_wrong(rescli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = rescli("doctor", "--out", tmp_path / "file", "--json")
    assert answer.code == 6
    assert answer.json["ok"] is False
    (problem,) = [one for one in answer.json["findings"] if one["level"] == "problem"]
    assert (problem["part"], problem["settings"]) == ("run directory", {"out": "DIR"})


def test_a_part_that_fails_ends_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> Part:
        raise RuntimeError("driver")

    for name in ("look_at_gpus", "look_at_use", "look_at_threads"):
        monkeypatch.setattr(devices, name, fail)
    monkeypatch.setattr("rescli.workflows.trust.doctor.look_at_place", fail)
    checkup = doctor(tmp_path)
    assert [part.name for part in checkup.parts] == PARTS
    failed = [name for name, one in checkup.of_level("note") if "RuntimeError: driver" in one.text]
    assert failed == ["gpu", "use", "threads", "run directory"]
    assert "nothing can be said" in checkup.parts[-1].findings[0].text or checkup.ok


def test_without_torch_there_is_a_report_too(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libfoo.so: cannot open shared object file')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from rescli.workflows.trust.doctor import doctor; "
        "found = doctor(); print(found); sys.exit(not found.ok)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "problem  torch cannot be imported: ImportError: libfoo.so" in done.stdout
    assert "locks hold between two processes" in done.stdout


def test_torch_that_cannot_compute_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_device: object) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(devices, "_compute", fail)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (found,) = devices.look_at_use().findings
    assert found.level == "problem"
    assert found.text.endswith("could not create a primitive")


def test_without_a_compiler_kernels_are_plain_and_that_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ChosenKernels("plain", "there is no C compiler (cc)")
    monkeypatch.setattr(devices, "choose_kernels", lambda *_, **__: plain)
    part = devices.look_at_use()
    found = part.findings[1]
    assert (found.level, found.hint) == ("note", "install one (gcc or clang), or name it by CC")
    facts = {name: Part(name, ()) for name in PARTS} | {"use": part, "threads": Part("threads", ())}
    assert any("longer" in one.text for one in expected_speed(facts).findings)


@pytest.mark.parametrize(
    ("hidden", "cuda", "said"),
    [("", "12.8", "CUDA_VISIBLE_DEVICES='' hides it"), (None, None, "built without CUDA")],
)
def test_a_gpu_that_is_not_used_is_a_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: str | None, cuda: str | None, said: str
) -> None:
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", cuda)
    monkeypatch.setattr("torch.version.hip", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    (found,) = devices.look_at_gpus().findings
    assert found.level == "note"
    assert said in found.text
