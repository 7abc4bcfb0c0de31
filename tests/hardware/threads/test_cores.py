"""Cores by affinity and quota, on control groups made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rescli.hardware.threads import cores
from rescli.hardware.threads.cores import usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight cores by affinity, and the root of the control groups, empty."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_OWN_CGROUPS", tmp_path / "own")
    return tmp_path / "cgroup"


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.usefixtures("groups")
def test_affinity_counts_and_not_the_machine() -> None:
    assert usable_cores() == 8


@pytest.mark.usefixtures("groups")
def test_without_affinity_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64


@pytest.mark.parametrize(
    ("limit", "found"),
    [("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("max 100000", 8), ("x", 8), ("1", 8)],
)
def test_a_quota_of_version_2(groups: Path, limit: str, found: int) -> None:
    put(groups.parent / "own", "0::/\n")
    put(groups / "cpu.max", limit + "\n")
    assert usable_cores() == found


def test_the_tightest_of_the_groups_above_counts(groups: Path) -> None:
    put(groups.parent / "own", "0::/slurm/job_7/step_0\n")
    put(groups / "slurm" / "job_7" / "cpu.max", "300000 100000\n")
    put(groups / "slurm" / "job_7" / "step_0" / "cpu.max", "max 100000\n")
    put(groups / "slurm" / "cpu.max", "6400000 100000\n")
    assert usable_cores() == 3


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "found"), [("400000", 4), ("-1", 8)])
def test_a_quota_of_version_1(groups: Path, mount: str, quota: str, found: int) -> None:
    put(groups.parent / "own", "11:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n")
    put(groups / mount / "docker" / "x" / "cpu.cfs_quota_us", quota + "\n")
    put(groups / mount / "docker" / "x" / "cpu.cfs_period_us", "100000\n")
    assert usable_cores() == found


def test_a_group_that_lies_outside_of_the_container_is_looked_for_at_its_root(groups: Path) -> None:
    put(groups.parent / "own", "0::/../../host/y\n")
    put(groups / "cpu.max", "100000 100000\n")
    assert usable_cores() == 1
