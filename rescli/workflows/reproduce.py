"""``reproduce``: train what a table or figure of the paper needs, and hold ours beside theirs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from rescli.errors import DataError, RescliError, UsageError
from rescli.evaluation.protocols import default_protocol
from rescli.remedy import Remedy
from rescli.report.reproduction import Reproduction
from rescli.runs.record import provenance
from rescli.spec.from_names import named_dataset
from rescli.spec.run import RunSpec
from rescli.studies.events import StudySink, Testing
from rescli.studies.evidence.incoming import take_runs
from rescli.studies.evidence.outcome import IncomingRun, require_taken
from rescli.studies.evidence.wanted import wanted_specs
from rescli.studies.not_run import NotRun
from rescli.studies.paper_items import PaperItem, PaperNet, paper_item
from rescli.studies.queued_run import QueuedRun
from rescli.studies.reproduction import finished_curves, finished_responses, measure_nets
from rescli.workflows.arguments import as_paths, check_count
from rescli.workflows.notes import with_notes
from rescli.workflows.running.stopping import Stop, stop_on_interrupt
from rescli.workflows.running.study import Study, StudyProgress, as_seconds, watched

__all__ = ["reproduce"]


@with_notes
def reproduce(
    name: str,
    *,
    seeds: int = 1,
    only: str | Sequence[str] = (),
    train: bool = True,
    budget: str | float | None = None,
    changes: Mapping[str, object] | None = None,
    runs: str | os.PathLike[str] = "runs",
    out: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    dry_run: bool = False,
    import_runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    on_event: StudySink | None = None,
    progress: StudyProgress | bool | None = None,
    stopping: Callable[[], AbstractContextManager[Stop]] = stop_on_interrupt,
) -> Reproduction:
    """Reproduce a table or figure of the paper. Interrupted, the same call goes on; nothing is done twice.

    Args:
        name: table2 to table6, fig1, fig4, fig6 or fig7.
        seeds: runs of each net, with the seed of its spec, which is 0 unless changed, and those that follow.
        only: this net or these alone, as the table calls them; empty for all.
        train: whether to train what is missing, or just to gather what is finished.
        budget: shorten all schedules alike so that all runs fit, in seconds or as ``"2h"``.
        changes: keys of all specs, ``{"optimizer.lr": 0.05}``.
        runs: where run directories lie and are found again.
        out: where it is written; None for a folder below ``reproductions``.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.
        device: auto, cpu, cuda or mps.
        threads: of the CPU; None for as many as there are cores, or as a run began with.
        dry_run: make the plan, and stop: no row is measured and nothing is written.
        import_runs: run directories of other machines, or folders of them: what is finished there, whole and
            needed here is copied to ``runs`` first. Where one is refused, nothing is trained or measured;
            with ``train=False`` the table is made all the same.
        on_event: told of every ``rescli.studies.events.StudyEvent``.
        progress: as for ``train``.
        stopping: a block within which somebody may ask the training to stop; Ctrl-C does.

    Raises:
        UnknownNameError: no such table or figure, or no such net in it.
        UsageError: a device that is not here, a key or value that cannot work, or a budget too short to learn
            anything. A run that diverges or has too little memory ends no other: its row says so.
        CheckpointError: a run that is damaged.
        VerificationError: ``train`` is true and a run of another machine was refused, whether or not anything
            is missing; what was whole is copied all the same.
        Interrupted: Ctrl-C; the state of the run is saved, and the same call goes on.

    Example:
        >>> found = reproduce("table6", seeds=5, dry_run=True)
        >>> len(found.plan), found.plan[0].run.spec.name
        (30, 'cifar10-resnet-20-seed0')
        >>> shapes = {"kind": "shapes", "num_train": 60, "num_val": 30, "num_test": 40}
        >>> small = {"iterations": 2, "data.batch_size": 8, "model.width": 4, "data.dataset": shapes}
        >>> found = reproduce("fig1", only="plain-20", changes=small, device="cpu")
        >>> found.not_run, len(found.figure().axes)
        ({'plain-56': 'left out, as asked'}, 1)
    """
    check_count("seeds", seeds, least=1)
    check_count("threads", threads, least=1)
    folders = as_paths(import_runs)
    if folders and (dry_run or budget is not None):
        other = Remedy("dry_run") if dry_run else Remedy("budget", budget)
        why = "a plan takes nothing in" if dry_run else "the schedules of a budget are this machine's own"
        raise UsageError(f"runs of other machines do not go with {other}: {why}.", given=other)
    item = paper_item(name)
    specs, not_run = wanted_specs(item, [only] if isinstance(only, str) else only, seeds, changes or {})
    with watched(progress, on_event) as tell:
        study = Study(
            runs=Path(runs),
            out=Path(out) if out is not None else Path("reproductions") / name,
            budget_seconds=as_seconds(budget),
            data_root=Path(data_root) if data_root is not None else None,
            device=device,
            threads=threads,
            on_event=tell,
            stopping=stopping,
            tested_images=lambda spec: spec.data.dataset.sizes.get("test", spec.data.dataset.sizes["val"]),
        )
        if dry_run:
            if study.budget_seconds is not None:
                study.note("the budget is fitted when it starts: the plan below is of the whole schedules")
            plan = study.announce(_cheapest_first(study.plan(specs)), _by_label(not_run))
            return Reproduction(item, plan.runs, _by_label(not_run), origin=provenance())
        study.require_device()
        imported = take_runs(
            folders,
            study.runs,
            specs,
            data_root=study.data_root,
            tell=lambda result: study.note(str(result)),
        )
        if train:
            require_taken(imported, ", and nothing is trained")
        planned = _trained(study, specs, not_run, train=train)
        return _measured(study, item, planned, not_run, imported)


def _trained(
    study: Study, specs: dict[PaperNet, list[RunSpec]], not_run: dict[PaperNet, NotRun], *, train: bool
) -> dict[PaperNet, list[QueuedRun]]:
    """The runs of each net, after what is missing was trained; those without images are left out of it."""
    whole = study.plan(specs)
    missing = train and any(run.status != "finished" for runs in whole.values() for run in runs)
    if not missing and study.budget_seconds is None:
        study.announce(_cheapest_first(whole), _by_label(not_run))
        return whole
    _leave_out_without_images(specs, not_run, study.data_root)
    if not specs:
        study.announce(_cheapest_first(whole), _by_label(not_run))
        return whole

    def failed(run: QueuedRun, error: RescliError) -> None:
        net = next(net for net, group in specs.items() if _same_net(group[0], run.spec))
        not_run[net] = NotRun(f"seed {run.spec.seed}: {error}", "failed")
        study.note(f"{run.spec.name}: {error}", error)

    trained = study.train(
        specs, order=_cheapest_first, not_run=_by_label(not_run), on_failure=failed, train=train
    )
    return {**whole, **trained}


def _same_net(spec: RunSpec, other: RunSpec) -> bool:
    return spec.model == other.model and spec.data == other.data


def _leave_out_without_images(
    specs: dict[PaperNet, list[RunSpec]], not_run: dict[PaperNet, NotRun], data_root: Path | None
) -> None:
    """What has no images here is not trained; the rest goes on. No test image is looked at."""
    for net, group in list(specs.items()):
        try:
            group[0].data.dataset.check_available(data_root)
        except DataError as error:
            not_run[net] = NotRun(str(error), "no_images")
            del specs[net]


def _cheapest_first(planned: Mapping[PaperNet, Sequence[QueuedRun]]) -> list[QueuedRun]:
    """Seed by seed, and the cheapest first: whenever it ends, most of the table is there."""
    by_seed = zip(*planned.values(), strict=True)
    return [run for runs in by_seed for run in sorted(runs, key=lambda run: run.macs)]


def _by_label(not_run: Mapping[PaperNet, NotRun]) -> dict[str, NotRun]:
    return {net.label: reason for net, reason in not_run.items()}


def _measured(
    study: Study,
    item: PaperItem,
    planned: Mapping[PaperNet, Sequence[QueuedRun]],
    not_run: Mapping[PaperNet, NotRun],
    imported: Sequence[IncomingRun],
) -> Reproduction:
    evaluator = study.evaluator(
        item.table.split if item.table else None, item.table.protocol if item.table else None
    )
    study.on_event(Testing())
    rows = measure_nets(item, planned, not_run, evaluator)
    responses = None
    if item.kind == "responses":
        responses = tuple(finished_responses(planned, data_root=study.data_root, device=study.device))
    found = Reproduction(
        item=item,
        plan=tuple(run.planned() for run in _cheapest_first(planned)),
        not_run=_by_label(not_run),
        rows=tuple(rows),
        protocol=item.table.protocol if item.table else _own_protocol(item),
        origin=provenance(),
        nets=tuple(finished_curves(planned)) if item.kind == "curves" else (),
        responses=responses,
        out=study.out,
        imported=tuple(imported),
    )
    found.save(study.out)
    return found


def _own_protocol(item: PaperItem) -> str:
    """The single view of the figure's data set: the image itself, or its centre crop."""
    return default_protocol(named_dataset(item.dataset)).name
