"""Processor, memory and environment, on files that say what a system would say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rescli.diagnosis.environment import look_at_environment, look_at_leftovers
from rescli.diagnosis.memory import look_at_memory, look_at_shared_memory
from rescli.diagnosis.processor import look_at_processor
from rescli.hardware import machine_memory, processor
from rescli.hardware.disk import file_system
from rescli.hardware.disk.file_system import FileSystem, file_system_of
from rescli.hardware.threads import cores


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores and 16 GB in a container of version 2 that limits nothing yet."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(cores, "_OWN_CGROUPS", tmp_path / "own")
    (tmp_path / "cpuinfo").write_text("model name : Acme 1\nflags : fpu avx2 avx512f amx_tile\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n")
    monkeypatch.setattr(machine_memory, "_MEMINFO", tmp_path / "meminfo")
    return tmp_path


@pytest.mark.usefixtures("system")
def test_a_processor_that_is_ours_alone() -> None:
    part = look_at_processor()
    assert [finding.text for finding in part.findings] == [
        "Acme 1, 8 cores (hyperthreads count); has avx2 avx512 amx",
        "8 cores usable of 8",
    ]
    assert {finding.level for finding in part.findings} == {"ok"}


def test_a_quota_and_a_cpuset_are_told_apart(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (system / "cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2}, raising=False)
    (_, found) = look_at_processor().findings
    assert found.level == "note"
    assert found.text.startswith("2 cores usable of 8: the affinity")
    assert "allows 3; the quota of its control group (a container's limit) allows 1.50" in found.text


@pytest.mark.usefixtures("system")
def test_memory_without_a_limit() -> None:
    (found,) = look_at_memory().findings
    assert (found.level, found.text) == ("ok", "9.2 GB available of 16.4 GB")


@pytest.mark.parametrize(("limit", "level"), [(8 << 30, "ok"), (1 << 30, "note"), (200 << 20, "problem")])
def test_a_container_may_use_less(system: Path, limit: int, level: str) -> None:
    (system / "memory.max").write_text(f"{limit}\n")
    (system / "memory.current").write_text(f"{60 << 20}\n")
    (system / "memory.stat").write_text(f"anon 5\ninactive_file {50 << 20}\n")
    part = look_at_memory()
    (found,) = part.findings
    assert found.level == level
    assert "the control group (a container's limit) allows" in found.text
    assert "of which 10 MB are used" in found.text
    assert part.facts["group_limit_bytes"] == limit


def test_a_limit_beyond_the_machine_is_none(system: Path) -> None:
    (system / "memory.max").write_text(f"{1 << 50}\n")
    (system / "memory.current").write_text("5\n")
    assert look_at_memory().facts["group_limit_bytes"] is None


def test_shared_memory_is_told_in_the_units_of_containers() -> None:
    (found,) = look_at_shared_memory().findings
    assert found.level == "ok"
    assert "MiB" in found.text or "there is no /dev/shm" in found.text


def test_file_systems_by_the_longest_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
        "2 1 0:50 / /home rw,relatime shared:9 - nfs4 server:/home rw",
        "3 2 0:51 / /home/a\\040b ro,nosuid - tmpfs tmpfs rw",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines))
    monkeypatch.setattr(file_system, "_MOUNTS", tmp_path / "mountinfo")
    assert file_system_of(Path("/nowhere/at/all")) == FileSystem("ext4", "/", read_only=False)
    network = file_system_of(Path("/home/c"))
    assert network is not None
    assert network.is_network
    assert file_system_of(Path("/home/a b/c")) == FileSystem("tmpfs", "/home/a b", read_only=True)
    assert file_system_of(Path("/homely")) == FileSystem("ext4", "/", read_only=False)


def test_a_mount_point_of_any_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        "2 1 0:50 / /mnt/caf\u00e9\\134\\040x rw - nfs4 server:/x rw".encode(),
        b"3 1 0:51 / /mnt/\xff rw - cifs //server/x rw",
    ]
    (tmp_path / "mountinfo").write_bytes(b"\n".join(lines))
    monkeypatch.setattr(file_system, "_MOUNTS", tmp_path / "mountinfo")
    cafe, odd = Path("/mnt/caf\u00e9\\ x"), Path(os.fsdecode(b"/mnt/\xff"))
    assert file_system_of(cafe / "a") == FileSystem("nfs4", str(cafe), read_only=False)
    assert file_system_of(odd / "a") == FileSystem("cifs", str(odd), read_only=False)


def test_variables_that_cost_something_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OMP_", "ONEDNN_", "RANK", "WORLD_SIZE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("RESCLI_DATA", "/data\x1b[2J")
    part = look_at_environment()
    notes = [finding.text for finding in part.findings if finding.level == "note"]
    assert notes == ["ONEDNN_MAX_CPU_ISA=AVX2: convolutions use no newer instructions than that"]
    assert part.facts["RESCLI_DATA"] == "/data\\x1b[2J"


@pytest.mark.parametrize(("size", "said"), [("x", "WORLD_SIZE is 'x'"), ("2", "RANK, MASTER_ADDR")])
def test_an_environment_that_no_training_takes_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, size: str, said: str
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", size)
    problems = [finding.text for finding in look_at_environment().findings if finding.level == "problem"]
    assert len(problems) == 1
    assert said in problems[0]


def test_left_overs_are_old_and_ours(tmp_path: Path) -> None:
    for name in (".net.pt.12.tmp", "rescli-verify-abc", "of-mine.tmp"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    (tmp_path / "rescli-export-new").write_text("")
    part = look_at_leftovers({"runs": tmp_path, "none": tmp_path / "none"})
    found = part.facts["paths"]
    assert isinstance(found, list)
    assert sorted(found) == [str(tmp_path / ".net.pt.12.tmp"), str(tmp_path / "rescli-verify-abc")]
    assert part.findings[0].level == "note"
    assert look_at_leftovers({"runs": tmp_path / "none"}).findings[0].level == "ok"
