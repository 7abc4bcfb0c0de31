"""What a training would do, before anything is begun."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from rescli.hardware.threads.cores import usable_cores
from rescli.plan import Estimate, TrainPlan, estimate, make_plan
from rescli.spec.ledger.ledger import ledger
from rescli.spec.ledger.row import LedgerRow
from rescli.spec.run import RunSpec
from rescli.workflows.results.oddities import Oddity, oddities

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey

__all__ = ["PlannedRun"]


@dataclass(frozen=True)
class PlannedRun:
    """A run that can be trained, and what is known of it without torch.

    Attributes:
        spec: the whole spec; sizes and classes that a data set only knows from its files are filled in.
        plan: when everything happens.
        survey: what the folder of photographs holds, and what is odd about it; None of other data sets.
    """

    spec: RunSpec
    plan: TrainPlan
    survey: Survey | None = None

    @classmethod
    def known(cls, spec: RunSpec) -> Self:
        """The plan of a whole spec, whose images somebody looked at already."""
        return cls(spec, make_plan(spec))

    @property
    def estimate(self) -> Estimate | None:
        """Time and memory on this machine's CPU, within a factor of 2; None for a model of a plugin."""
        return estimate(self.spec, self.plan, cores=usable_cores())

    def oddities(self, *, shortened: bool = False) -> list[Oddity]:
        """What is out of the ordinary, and what would mend it.

        Args:
            shortened: whether a budget will choose the iterations.
        """
        return list(oddities(self.spec, self.plan, shortened=shortened))

    @property
    def ledger(self) -> list[LedgerRow]:
        """Each choice of the spec held against the paper."""
        return ledger(self.spec)

    def to_dict(self) -> dict[str, Any]:
        """What ``rescli train --dry-run --json`` prints."""
        forecast = self.estimate
        odd = [{"text": one.text, "settings": dict(one.settings)} for one in self.oddities()]
        return {
            "spec": self.spec.to_dict(),
            "spec_sha256": self.spec.fingerprint(),
            "plan": self.plan.to_dict(),
            "estimate": asdict(forecast) if forecast else None,
            "ledger": [row.to_dict() for row in self.ledger],
            **({"survey": self.survey.to_dict()} if self.survey is not None else {}),
            **({"oddities": odd} if odd else {}),
        }
