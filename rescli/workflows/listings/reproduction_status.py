"""``reproduction_status``: how far the runs of a table or figure are. No torch is imported for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rescli.report.reproduction_status import ReproductionStatus
from rescli.studies.evidence.outcome import IncomingRun
from rescli.studies.evidence.progress import progress_of_runs
from rescli.studies.evidence.wanted import wanted_specs
from rescli.studies.paper_items import paper_item
from rescli.workflows.arguments import as_paths, check_count
from rescli.workflows.notes import with_notes

__all__ = ["reproduction_status"]


@with_notes
def reproduction_status(
    name: str,
    *,
    seeds: int = 1,
    only: str | Sequence[str] = (),
    changes: Mapping[str, object] | None = None,
    runs: str | os.PathLike[str] = "runs",
    import_runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    data_root: str | os.PathLike[str] | None = None,
) -> ReproductionStatus:
    """Which runs of a table or figure are finished, running, stopped and missing, and how fast they go.

    It trains and tests nothing, and but for ``import_runs`` writes nothing: it may be asked at any time, also
    while another process trains in the same place.

    Args:
        name: table2 to table6, fig1, fig4, fig6 or fig7.
        seeds: runs of each net, as for ``reproduce``.
        only: this net or these alone, as the table calls them; empty for all.
        changes: keys of all specs, ``{"precision": "fp32"}``: a run is found by its whole spec.
        runs: where run directories lie.
        import_runs: run directories of other machines, or folders of them: what is finished there, whole and
            needed here is copied to ``runs`` first. The result says what was refused.
        data_root: where the images lie, which those of other machines are held against.

    Raises:
        UnknownNameError: no such table or figure, or no such net in it.
        SpecError: a key or value that cannot work.
        RunDirError: a folder of ``import_runs`` holds no run.

    Example:
        >>> status = reproduction_status("table6", seeds=5)
        >>> status.counts["missing"], status.rows[0].published
        (30, 8.75)
    """
    check_count("seeds", seeds, least=1)
    item = paper_item(name)
    specs, not_run = wanted_specs(item, [only] if isinstance(only, str) else only, seeds, changes or {})
    imported: Sequence[IncomingRun] = ()
    if folders := as_paths(import_runs):
        from rescli.studies.evidence.incoming import take_runs  # which reads checkpoints, and needs torch

        images = Path(data_root) if data_root is not None else None
        imported = take_runs(folders, Path(runs), specs, data_root=images)
    return ReproductionStatus(
        item=item,
        runs=Path(runs),
        rows=tuple(progress_of_runs(item, Path(runs), specs)),
        not_run={net.label: reason for net, reason in not_run.items()},
        imported=tuple(imported),
    )
