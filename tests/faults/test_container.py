"""A place like a container: one core, a home that cannot be written, 64 MB of shared memory, no compiler."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shape_run import CPU_FP32, begin

CHECKOUT = Path(__file__).resolve().parents[2]

ON_ONE_CORE = "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "

Answer = subprocess.CompletedProcess[str]


@pytest.fixture
def container(tmp_path: Path) -> Callable[..., Answer]:
    """``container("doctor", "--json")``: the command in a mount namespace of its own."""
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if unshare is None or mount is None or os.geteuid() != 0:
        pytest.skip("needs root, unshare and mount")
    home, empty = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    empty.mkdir()
    mounts = [
        f"{mount} --make-rprivate /",
        f"{mount} -t tmpfs tmpfs {shlex.quote(str(home))}",
        f"{mount} -o remount,ro {shlex.quote(str(home))}",
        f"{mount} -t tmpfs -o size=64m tmpfs /dev/shm",
    ]
    tried = subprocess.run(
        [unshare, "-m", "/bin/sh", "-c", " && ".join(mounts)], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"one may not mount here: {tried.stderr.strip()}")

    def run(*arguments: object) -> Answer:
        program = (
            f"{ON_ONE_CORE}sys.argv = {['rescli', *map(str, arguments)]!r}; "
            "from rescli.cli.app import main; main()"
        )
        inside = shlex.join([sys.executable, "-c", program])
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "TMPDIR")}
        paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [unshare, "-m", "/bin/sh", "-c", " && ".join([*mounts, f"exec {inside}"])],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**kept, "HOME": str(home), "PATH": str(empty), "PYTHONPATH": os.pathsep.join(paths)},
            check=False,
        )

    return run


def test_doctor_tells_the_truth_there(container: Callable[..., Answer], tmp_path: Path) -> None:
    done = container("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    facts: dict[str, Any] = found["facts"]
    cache = str(tmp_path / "home" / ".cache" / "rescli")
    assert facts["processor"]["cores_usable"] == facts["processor"]["cores_allowed"] == 1
    assert facts["threads"]["threads"] == 1
    assert facts["shared memory"]["bytes"] == 64 << 20
    assert facts["use"]["kernels"] == "plain"
    assert facts["use"]["kernels_reason"] == "there is no C compiler (cc)"
    assert (facts["working folders"]["cache"], facts["working folders"]["cache_writable"]) == (cache, False)
    assert facts["run directory"]["writable"] is facts["run directory"]["locks"] is True
    assert facts["data"]["cifar10"] is None
    said = {one["text"]: one["level"] for one in found["findings"]}
    for words in (
        "1 core usable of",
        "kernels: plain torch, which takes longer: there is no C compiler (cc)",
        f"cache: {cache} cannot be written (Read-only file system)",
        "it cannot be downloaded there (Read-only file system)",
    ):
        if words.startswith("1 core") and os.cpu_count() == 1:
            continue
        assert [level for text, level in said.items() if words in text][:1] == ["note"], words
    assert not [text for text in said if text.startswith("could not be looked at")]


def test_a_place_that_cannot_be_written_is_its_problem(
    container: Callable[..., Answer], tmp_path: Path
) -> None:
    done = container("doctor", "--out", tmp_path / "home" / "runs")
    assert done.returncode == 6
    assert f"cannot write in {tmp_path}/home: Read-only file system" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_resume_is_proved_there(container: Callable[..., Answer], tmp_path: Path) -> None:
    """The run began with compiled kernels where there is a compiler; there is none in there."""
    begin(tmp_path / "run", CPU_FP32)
    done = container("verify", "resume", tmp_path / "run", "--iterations", 6, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["kernels"] == "plain"
    assert (tmp_path / "run" / "spec.toml").is_file()
