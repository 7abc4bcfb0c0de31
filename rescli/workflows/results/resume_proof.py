"""What was found when a copy of a run was killed and resumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rescli.errors import VerificationError
from rescli.plurals import counted
from rescli.report.table import Column, Table, short
from rescli.runs.resuming.same_end import Compared, Difference

__all__ = ["ComparedJson", "Kill", "KillJson", "ResumeProof", "ResumeProofJson"]


class KillJson(TypedDict):
    """One kill."""

    near_iteration: int
    seconds_after_save: float
    went_on_from: int


class ComparedJson(TypedDict):
    """One kind of what both runs ended with."""

    what: str
    count: int
    equal: bool
    sha256_whole: str
    sha256_resumed: str


class ResumeProofJson(TypedDict):
    """The JSON object that ``rescli verify resume`` prints."""

    ok: bool
    run: str
    from_iteration: int
    iterations: int
    saved_states: int
    evaluations: int
    epoch_borders: int
    tensors: int
    kills: list[KillJson]
    seed: int
    device: str
    precision: str
    engine: str
    kernels: str
    convolutions: str
    threads: int
    compared: list[ComparedJson]
    first_difference: str | None
    largest_difference: float | None
    seconds: float
    notes: list[str]


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        near: the iteration at which it came, by the clock of the run that was left alone.
        seconds_after_save: since the newest state was saved, or since the process went on from it.
        went_on_from: the iteration of the newest saved state, where the next process went on; 0 for the
            beginning.
    """

    near: int
    seconds_after_save: float
    went_on_from: int


@dataclass(frozen=True, eq=False, repr=False)
class ResumeProof:
    """A copy of a run, trained once whole and once killed and resumed; prints as ``rescli verify resume``.

    Attributes:
        run: the run directory, which is as it was.
        from_iteration: the saved iteration that both began with; 0 for the beginning.
        iterations: how many both were trained for.
        saved_states: how many states were saved on the way, by each.
        evaluations: of the validation part, by each.
        epoch_borders: how often a new epoch began on the way.
        tensors: how many were compared.
        kills: in their order.
        seed: what the moments of the kills were drawn with.
        device: as the record of a run names it.
        precision: of the convolutions.
        engine: what launched the steps.
        kernels: what normalised.
        convolutions: what convolved: ``winograd``, ``native`` or ``torch``.
        threads: of the CPU.
        compared: kind by kind.
        difference: the first; None where all is equal.
        seconds: all of it took.
        notes: what was not proved, and what is other here than in the run.
    """

    run: Path
    from_iteration: int
    iterations: int
    saved_states: int
    evaluations: int
    epoch_borders: int
    tensors: int
    kills: tuple[Kill, ...]
    seed: int
    device: str
    precision: str
    engine: str
    kernels: str
    convolutions: str
    threads: int
    compared: tuple[Compared, ...]
    difference: Difference | None
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the resumed run ended with the bits of the other."""
        return self.difference is None and all(one.equal for one in self.compared)

    def require_equal(self) -> None:
        """Do nothing where both ended alike.

        Raises:
            VerificationError: names the first difference.
        """
        if not self.ok:
            raise VerificationError(
                f"killed and resumed, the copy of {self.run} ended otherwise than the one that was left "
                f"alone; the first difference: {self.difference}.",
                hint=f"the moments of the kills are those of seed {self.seed}; a loss that depends on time, "
                "or on a state that is not saved, is a usual cause in plugins",
                page="verify-resume-found-a-difference",
            )

    def lines(self) -> list[tuple[str, str]]:
        """What is printed, as a word and a sentence each."""
        begin = f"iteration {self.from_iteration}" if self.from_iteration else "the beginning"
        verdict = "bit for bit the same" if self.ok else f"DIFFERENT: {self.difference}"
        what = [
            f"{each.what} {each.count if each.equal else 'DIFFER'} ({each.sha256[0][:8]})"
            for each in self.compared
        ]
        borders = counted(self.epoch_borders, "epoch border") if self.epoch_borders else "no epoch border"
        kills = [
            f"near iteration {kill.near}, {kill.seconds_after_save:.2f} s after the state of iteration "
            f"{kill.went_on_from}; it went on from there"
            if kill.went_on_from
            else f"near iteration {kill.near}, before a state was saved; it began again"
            for kill in self.kills
        ]
        return [
            ("resume", verdict),
            (
                "trained",
                f"{counted(self.iterations, 'iteration')} from {begin}, twice: once left alone, once killed; "
                f"across {counted(self.saved_states, 'saved state')}, "
                f"{counted(self.evaluations, 'evaluation')}, {borders}",
            ),
            *(("killed", kill) for kill in kills),
            ("equal" if self.ok else "compared", f"{counted(self.tensors, 'tensor')}: {'; '.join(what)}"),
            (
                "on",
                f"{self.device}, {self.precision}, engine {self.engine}, kernels {self.kernels}, "
                f"convolutions {self.convolutions}",
            ),
            *(("note", note) for note in self.notes),
        ]

    def to_json(self) -> ResumeProofJson:
        """All of it as JSON values."""
        difference = self.difference
        return {
            "ok": self.ok,
            "run": str(self.run),
            "from_iteration": self.from_iteration,
            "iterations": self.iterations,
            "saved_states": self.saved_states,
            "evaluations": self.evaluations,
            "epoch_borders": self.epoch_borders,
            "tensors": self.tensors,
            "kills": [
                {
                    "near_iteration": kill.near,
                    "seconds_after_save": round(kill.seconds_after_save, 3),
                    "went_on_from": kill.went_on_from,
                }
                for kill in self.kills
            ],
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "engine": self.engine,
            "kernels": self.kernels,
            "convolutions": self.convolutions,
            "threads": self.threads,
            "compared": [
                {
                    "what": each.what,
                    "count": each.count,
                    "equal": each.equal,
                    "sha256_whole": each.sha256[0],
                    "sha256_resumed": each.sha256[1],
                }
                for each in self.compared
            ],
            "first_difference": difference.name if difference else None,
            "largest_difference": _finite(difference.largest) if difference else None,
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
        }

    def table(self) -> Table:
        """A line for each kind of what was compared."""
        return Table.of(_COLUMNS, self.compared)

    def __str__(self) -> str:
        return "\n".join(f"{word:9} {text}" for word, text in self.lines())

    def __repr__(self) -> str:
        (_, verdict), *others = self.lines()
        return short(f"ResumeProof: {verdict}", [f"{word} {text}" for word, text in others])

    def _repr_html_(self) -> str:
        (_, verdict), (_, trained), *_ = self.lines()
        return self.table().to_html(caption=f"{verdict}; trained {trained}")


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None


_COLUMNS = (
    Column[Compared]("compared", lambda one: one.what),
    Column[Compared]("count", lambda one: str(one.count), lambda one: one.count),
    Column[Compared]("equal", lambda one: "yes" if one.equal else "NO"),
    Column[Compared]("sha256", lambda one: one.sha256[0][:12]),
    Column[Compared]("resumed", lambda one: one.sha256[1][:12]),
)
