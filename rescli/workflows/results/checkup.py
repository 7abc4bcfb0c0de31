"""What ``doctor`` found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from rescli.diagnosis.findings import LEVELS, Fact, Finding, Level, Part
from rescli.errors import VerificationError
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.report.table import Table

__all__ = ["Checkup", "CheckupJson", "FindingJson"]


class FindingJson(TypedDict):
    """One sentence of the report."""

    part: str
    level: Level
    text: str
    hint: str
    settings: dict[str, str]


class CheckupJson(TypedDict):
    """The JSON object that ``rescli doctor`` prints."""

    ok: bool
    problems: int
    notes: int
    seconds: float
    findings: list[FindingJson]
    facts: dict[str, Mapping[str, Fact]]


@dataclass(frozen=True, eq=False, repr=False)
class Checkup:
    """A look at this machine, part by part; prints as ``rescli doctor`` does.

    Attributes:
        parts: in the order of the report.
        seconds: all of it took.
    """

    parts: tuple[Part, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.of_level("problem")

    def of_level(self, level: Level) -> list[tuple[str, Finding]]:
        """The findings of a level, each with the name of its part."""
        return [(name, one) for name, one in self._all() if one.level == level]

    def require_sound(self) -> None:
        """Do nothing where there is no problem.

        Raises:
            VerificationError: names the problems.
        """
        problems = self.of_level("problem")
        if problems:
            named = "; ".join(f"{name}: {one.text}" for name, one in problems)
            raise VerificationError(
                f"{counted(len(problems), 'problem')} here. {named}", page="command-line.md#this-machine"
            )

    @property
    def summary(self) -> str:
        """In a line."""
        problems, notes = (len(self.of_level(level)) for level in ("problem", "note"))
        if not problems and not notes:
            return f"all is well; looked at in {self.seconds:.1f} s"
        return f"{counted(problems, 'problem')}, {counted(notes, 'note')}; looked at in {self.seconds:.1f} s"

    def to_json(self) -> CheckupJson:
        """All of it as JSON values; ``settings`` are arguments or keys of the spec, and their values."""
        levels = Counter(one.level for _, one in self._all())
        return {
            "ok": self.ok,
            "problems": levels["problem"],
            "notes": levels["note"],
            "seconds": round(self.seconds, 2),
            "findings": [
                {
                    "part": name,
                    "level": one.level,
                    "text": one.text,
                    "hint": one.hint,
                    "settings": {remedy.setting: str(remedy.value) for remedy in one.remedies},
                }
                for name, one in self._all()
            ],
            "facts": {part.name: dict(part.facts) for part in self.parts if part.facts},
        }

    def table(self) -> Table:
        """A line for each finding, the gravest first."""
        # It imports torch, which may be what does not work.
        from rescli.report.table import Column, Table

        columns = (
            Column[tuple[str, Finding]]("level", lambda row: row[1].level),
            Column[tuple[str, Finding]]("part", lambda row: row[0]),
            Column[tuple[str, Finding]]("found", lambda row: row[1].text),
            Column[tuple[str, Finding]](
                "what to do",
                lambda row: "; ".join([*filter(None, [row[1].hint]), *map(str, row[1].remedies)]),
            ),
        )
        rows = sorted(self._all(), key=lambda row: -LEVELS.index(row[1].level))
        return Table.of(columns, rows)

    def __str__(self) -> str:
        lines = []
        for part in self.parts:
            lines.append(part.name)
            for one in part.findings:
                lines.append(f"  {one.level:7}  {one.text}")
                lines += [f"{'':11}try: {remedy}" for remedy in one.remedies]
                lines += [f"{'':11}{one.hint}"] if one.hint else []
        return "\n".join([*lines, self.summary])

    def __repr__(self) -> str:
        from rescli.report.table import short

        grave = [*self.of_level("problem"), *self.of_level("note")]
        return short(f"Checkup: {self.summary}", [f"{one.level} {name}: {one.text}" for name, one in grave])

    def _repr_html_(self) -> str:
        return self.table().to_html(caption=self.summary)

    def _all(self) -> list[tuple[str, Finding]]:
        return [(part.name, one) for part in self.parts for one in part.findings]
