"""The environment that launchers leave: empty, nonsense, of one process too many or of none."""

from __future__ import annotations

import pytest

from rescli.errors import UsageError
from rescli.hardware.launcher import (
    Copies,
    check_complete,
    is_first,
    is_restart,
    launched,
    local_rank,
    num_ranks,
)

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID")
COPIES = (*SLURM, "OMPI_COMM_WORLD_RANK", "PMI_RANK")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *COPIES, "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert (num_ranks(), launched(), is_first(), is_restart(), local_rank()) == (1, False, True, False, None)


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "0", "99999999999", "\u0662"])
def test_nonsense_is_refused_by_name_and_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(UsageError, match=f"WORLD_SIZE is '{value}'") as caught:
        num_ranks()
    assert "unset WORLD_SIZE" in str(caught.value.hint)


def test_a_number_without_others_makes_nobody_a_follower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "x")
    assert is_first()
    assert local_rank() is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"RANK": "2"}, "RANK is 2, and of WORLD_SIZE=2 processes the last is 1"),
        ({"RANK": "x"}, "RANK is 'x'"),
        ({"RANK": ""}, "RANK is not set"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "MASTER_ADDR, MASTER_PORT are not set"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        ({"MASTER_PORT": "70000"}, "ports go up to 65535"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_waits(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    whole = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    for name, value in {**whole, **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=says):
        check_complete()


@pytest.mark.parametrize(
    ("given", "launcher"),
    [
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, "SLURM"),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "8"}, "SLURM"),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, "Open MPI"),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "MPI"),
    ],
)
def test_copies_that_know_nothing_of_each_other_are_noticed(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], launcher: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = Copies.noticed()
    assert found is not None
    assert (found.launcher, found.number, found.count) == (launcher, 1, 2)
    if launcher == "SLURM":  # the first of them knows by its step
        monkeypatch.setenv("SLURM_PROCID", "0")
        monkeypatch.setenv("SLURM_STEP_ID", "0")
        assert Copies.noticed() is not None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Copies.noticed() is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"SLURM_NTASKS": "4"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
        {"SLURM_PROCID": "0"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},  # a batch script without srun
        {
            "SLURM_PROCID": "0",
            "SLURM_STEP_ID": "0",
            "SLURM_STEP_NUM_TASKS": "1",
            "SLURM_NTASKS": "4",
        },  # one step of one task within it
    ],
)
def test_one_process_of_a_batch_system_is_no_copy(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Copies.noticed() is None
