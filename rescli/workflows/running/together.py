"""What several processes that torchrun began find out once, and not each for itself."""

from __future__ import annotations

from collections.abc import Callable

from rescli.hardware.launcher import launched, share_of
from rescli.spec.run import RunSpec
from rescli.workflows.results.planned_run import PlannedRun

__all__ = ["plan_together"]


def plan_together(
    make: Callable[[], PlannedRun], spec: RunSpec, device: str, processes: int | None = None
) -> PlannedRun:
    """The plan of a training; where several processes train, the first looks at the photographs for all.

    Args:
        make: looks at the images and plans.
        spec: what is planned.
        device: on which it is to be trained, as it was asked for.
        processes: how many are still to be begun; None for none.

    Raises:
        RescliError: what the first process met; the others raise the same.
        UsageError: the environment cannot be right, or the processes could not share a batch evenly.
    """
    if processes is not None:
        share_of(spec.data.batch_size, processes)
    if not launched() or not spec.data.dataset.any_size:
        return make()
    from rescli.hardware.ranks import join_ranks
    from rescli.runs.assembly import numerics_for

    made: list[PlannedRun] = []

    def look() -> RunSpec:
        made.append(make())
        return made[0].spec

    whole = join_ranks(numerics_for(spec, device).device).from_first(look)
    return made[0] if made else PlannedRun.known(whole)
