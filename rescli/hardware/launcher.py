"""What a launcher says in the environment of each process that it starts (needs no torch)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rescli.errors import UsageError
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = [
    "JOINING",
    "Copies",
    "check_complete",
    "is_first",
    "is_restart",
    "launched",
    "local_rank",
    "num_ranks",
    "on_one_machine",
    "share_of",
]

JOINING = "rescli-ranks"
"""The name of the thread in which a process joins the others."""

_LEFT_OVER = "a launcher such as torchrun sets these variables; to train in one process, unset {names}"

_OF_A_JOB = "SLURM_NTASKS"

_COPIES = (
    ("SLURM", "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", _OF_A_JOB)),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("MPI", "PMI_RANK", ("PMI_SIZE",)),
)
"""Launchers of any program: what they call a copy's number, and how many there are; the first that is set
counts."""


def num_ranks() -> int:
    """How many processes the launcher says there are; 1 without a launcher.

    Raises:
        UsageError: the environment says what is no number.
    """
    return _number("WORLD_SIZE", least=1, default=1)


def launched() -> bool:
    """Whether this is one of several processes that a launcher began.

    Raises:
        UsageError: as ``num_ranks``.
    """
    return num_ranks() > 1


def is_first() -> bool:
    """Whether this is the process that writes and speaks for all of them.

    Raises:
        UsageError: the environment says what cannot be.
    """
    if not launched():  # a number that was left over makes nobody a follower
        return True
    rank = _number("RANK", least=0, default=0)
    size = num_ranks()
    if rank >= size:
        raise UsageError(
            f"RANK is {rank}, and of WORLD_SIZE={size} processes the last is {size - 1}.",
            hint=_LEFT_OVER.format(names="WORLD_SIZE RANK"),
            page="port-in-use-or-world_size-left-over",
        )
    return rank == 0


def is_restart() -> bool:
    """Whether the launcher began all of them anew, because one was lost."""
    return launched() and _number("TORCHELASTIC_RESTART_COUNT", least=0, default=0) > 0


def local_rank() -> int | None:
    """This process's number among those of its machine; None without a launcher.

    Raises:
        UsageError: the environment says what is no number.
    """
    return _number("LOCAL_RANK", least=0, default=0) if launched() and os.environ.get("LOCAL_RANK") else None


def share_of(batch_size: int, ranks: int) -> int:
    """How many images of each batch a rank computes.

    Raises:
        UsageError: the batch cannot be shared evenly.
    """
    if batch_size % ranks:
        raise UsageError(
            f"a batch of {batch_size} cannot be shared evenly by {ranks} processes.",
            remedy=Remedy("data.batch_size", max(1, batch_size // ranks) * ranks),
        )
    return batch_size // ranks


def on_one_machine() -> bool:
    """Whether all processes are of this machine, as far as the launcher says."""
    return os.environ.get("LOCAL_WORLD_SIZE") in (None, "", str(num_ranks()))


def check_complete() -> None:
    """Refuse an environment that names several processes and not how they find each other.

    Raises:
        UsageError: a variable is missing, or no number.
    """
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise UsageError(
            f"WORLD_SIZE={num_ranks()} says that {counted(num_ranks(), 'process')} train together, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            hint=_LEFT_OVER.format(names="WORLD_SIZE"),
            page="port-in-use-or-world_size-left-over",
        )
    is_first()
    if _number("MASTER_PORT", least=0, default=0) >= 2**16:
        raise UsageError(
            f"MASTER_PORT is {os.environ['MASTER_PORT']!r}; ports go up to 65535.",
            hint=_LEFT_OVER.format(names="WORLD_SIZE MASTER_PORT"),
            page="port-in-use-or-world_size-left-over",
        )


@dataclass(frozen=True)
class Copies:
    """This process as one of several that know nothing of each other.

    Attributes:
        launcher: what began them.
        number: of this one, from 0.
        count: how many there are.
        variables: what says so.
    """

    launcher: str
    number: int
    count: int
    variables: str

    @classmethod
    def noticed(cls) -> Copies | None:
        """Whether something that starts any program several times started this one, without WORLD_SIZE."""
        if os.environ.get("WORLD_SIZE"):
            return None
        for launcher, rank, sizes in _COPIES:
            number = os.environ.get(rank, "")
            size = next((name for name in sizes if os.environ.get(name)), sizes[-1])
            count = os.environ.get(size, "")
            if not (number.isdecimal() and count.isdecimal() and int(count) > 1):
                continue
            if size == _OF_A_JOB and int(number) == 0 and not os.environ.get("SLURM_STEP_ID"):
                continue  # a batch script, which begins once, however many its steps may begin
            return cls(launcher, int(number), int(count), f"{rank}={number}, {size}={count}")
        return None


def _number(name: str, *, least: int, default: int) -> int:
    """The variable's value; empty is as good as unset."""
    given = os.environ.get(name, "").strip()
    if not given:
        return default
    if not (given.isascii() and given.isdecimal() and least <= int(given) < 2**31):
        raise UsageError(
            f"the environment variable {name} is {given!r}; it must be a whole number from {least} on.",
            hint=_LEFT_OVER.format(names=name),
            page="port-in-use-or-world_size-left-over",
        )
    return int(given)
