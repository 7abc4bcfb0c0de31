"""``compare``: train what is missing, test everything alike, and say what the difference is worth."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.locate import HasPath
from rescli.errors import DataError, UsageError
from rescli.remedy import Remedy
from rescli.report.comparison.comparison import Comparison
from rescli.runs.directory import RunDir, noted_data_root
from rescli.runs.record import provenance
from rescli.spec.from_names import Choice
from rescli.spec.run import RunSpec
from rescli.studies.comparison import Contender, compare_contenders
from rescli.studies.events import StudySink, Testing
from rescli.studies.operands import Operand, on_their_images, read_operands
from rescli.studies.published import PublishedTable, published_table, published_tables
from rescli.studies.queued_run import QueuedRun, seeded
from rescli.studies.responses import ResponsesRow, measure_responses
from rescli.studies.rows import ContenderRow
from rescli.workflows.arguments import check_count
from rescli.workflows.notes import with_notes
from rescli.workflows.results.net import Net
from rescli.workflows.running.stopping import Stop, stop_on_interrupt
from rescli.workflows.running.study import Study, StudyProgress, as_seconds, watched

__all__ = ["Comparable", "compare"]

_log = logging.getLogger(__name__)

Comparable = str | os.PathLike[str] | RunSpec | Net | HasPath
"""A model's name, a preset, a spec, a loaded net, a run, a run directory or a checkpoint."""


@with_notes
def compare(
    operands: Sequence[Comparable] | Mapping[str, Comparable],
    *,
    dataset: str | None = None,
    seeds: int = 1,
    iterations: int | None = None,
    budget: str | float | None = None,
    batch_size: int | None = None,
    precision: str | None = None,
    changes: Mapping[str, object] | None = None,
    to: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    out: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_event: StudySink | None = None,
    progress: StudyProgress | bool | None = None,
    stopping: Callable[[], AbstractContextManager[Stop]] = stop_on_interrupt,
) -> Comparison:
    """Compare nets: the error of each, a test of each difference, curves.

    Runs are found again by their spec: what is finished is used again, and what was interrupted goes on.

    Args:
        operands: what to compare, two or more, mixed: model names (``"plain-20"``), presets, specs, loaded
            nets, runs, run directories and checkpoints; or a mapping of what each is to be called to it.
        dataset: the data set of the model names; None for cifar10.
        seeds: runs of each net that is trained, with its spec's own seed and those that follow.
        iterations: stop after so many; milestones stay where they are.
        budget: shorten all schedules alike so that all runs fit, in seconds or as ``"20m"``.
        batch_size: images per iteration.
        precision: of the convolutions: auto, fp32, bf16 or fp16.
        changes: keys of all specs and their values, ``{"optimizer.lr": 0.05}``.
        to: the paper's numbers beside ours: ``"paper:table6"``, or table2, 3 or 4.
        runs: where run directories lie and are found again.
        out: where the comparison is written; None for a folder below ``comparisons``.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.
        device: auto, cpu, cuda or mps.
        threads: of the CPU; None for as many as there are cores, or as a run began with.
        on_event: told of every ``rescli.studies.events.StudyEvent``.
        progress: as for ``train``.
        stopping: a block within which somebody may ask the training to stop; Ctrl-C does.

    Raises:
        UsageError: a name that nothing answers to, a device that is not here, a setting that nothing here
            can take, the same run twice, or a budget too short to learn anything.
        CheckpointError: a checkpoint that is missing or damaged.
        DataError: images missing or damaged.
        DivergedError: a run's loss is no longer finite.
        Interrupted: Ctrl-C; the state of the run is saved, and the same call goes on.

    Example:
        >>> small = {"iterations": 4, "data.batch_size": 8, "model.width": 4, "data.dataset.num_train": 60,
        ...          "data.dataset.num_val": 30, "data.dataset.num_test": 40}
        >>> found = compare(["plain-8", "resnet-8"], dataset="shapes", changes=small, device="cpu")
        >>> [(one["label"], one["runs"][0]["num_test"]) for one in found.contenders]
        [('plain-8', 40), ('resnet-8', 40)]
        >>> list(found.verdicts), found.verdict.endswith(".")
        ([('plain-8', 'resnet-8')], True)
    """
    check_count("seeds", seeds, least=1)
    check_count("threads", threads, least=1)
    given, labels = _given(operands)
    table = _published(to)
    seconds = as_seconds(budget)
    choice = Choice(
        dataset=dataset,
        iterations=iterations,
        batch_size=batch_size,
        precision=precision,
        overrides=list((changes or {}).items()),
    )
    read = read_operands(given, choice)
    if labels is not None:
        read = [replace(operand, label=label) for operand, label in zip(read, labels, strict=True)]
    read = on_their_images(read, Path(data_root) if data_root is not None else None)
    wanted = {operand.label: seeded(operand.spec, seeds) for operand in read if operand.spec is not None}
    if not wanted:
        _warn_of_no_use(
            dataset=dataset,
            iterations=iterations,
            batch_size=batch_size,
            precision=precision,
            changes=dict(changes or {}) or None,
            budget=budget,
            seeds=seeds if seeds > 1 else None,
        )
    with watched(progress, on_event) as tell:
        study = Study(
            runs=Path(runs),
            out=Path(out) if out is not None else Path("comparisons") / _name(read, seeds, budget),
            budget_seconds=seconds,
            data_root=Path(data_root) if data_root is not None else None,
            device=device,
            threads=threads,
            on_event=tell,
            stopping=stopping,
            tested_images=_tested_images,
        )
        study.require_device()
        _refuse_twins(read, wanted, study)
        for operand in read:
            _require_test(operand, study.data_root)
        planned = study.train(wanted, order=_seed_by_seed) if wanted else {}
        found = _test(read, planned, table, study)
        found.save(study.out)
        return found


def _given(
    operands: Sequence[Comparable] | Mapping[str, Comparable],
) -> tuple[list[str | os.PathLike[str] | RunSpec], list[str] | None]:
    """The operands as paths, names and specs, and their labels where the caller gave some."""
    labels = list(map(str, operands)) if isinstance(operands, Mapping) else None
    if isinstance(operands, Mapping):
        several: list[Any] = list(operands.values())
    elif isinstance(operands, str | os.PathLike | RunSpec | Net) or not isinstance(operands, Iterable):
        several = [operands]
    else:
        several = list(operands)
    given = [_named(one) for one in several]
    if len(given) < 2:
        raise UsageError("a comparison needs two things or more.", remedy=Remedy("compare"))
    if any(operand in given[:place] for place, operand in enumerate(given)):
        raise UsageError("the same thing was named twice.")
    return given, labels


def _named(one: Comparable) -> str | os.PathLike[str] | RunSpec:
    if isinstance(one, str | os.PathLike | RunSpec):
        return one
    if isinstance(one, Net):
        one.require_unchanged()
        run_dir = RunDir.of_checkpoint(one.path)
        return run_dir.path if run_dir is not None and run_dir.last.samefile(one.path) else one.path
    if isinstance(path := getattr(one, "path", None), Path):
        return path
    raise UsageError(
        f"{type(one).__name__} is nothing to compare: what is compared is named by a text, a path, a spec, "
        "a run or a net."
    )


def _warn_of_no_use(**settings: object) -> None:
    """A script may give the same settings to whatever it compares: they are no error, and not silent."""
    given = [name for name, value in settings.items() if value is not None]
    if given:
        _log.warning("all that is compared is trained already: %s change nothing.", ", ".join(given))


def _refuse_twins(read: Sequence[Operand], wanted: Mapping[str, Sequence[RunSpec]], study: Study) -> None:
    """A run beside itself shows no difference, and no chance of one either."""
    seen: dict[Path, str] = {}
    for operand in read:
        runs = study.plan({operand.label: wanted.get(operand.label, ())})[operand.label]
        names = {RunDir(run.path).last.resolve(): run.spec.name for run in runs}
        if operand.checkpoint is not None:
            names[operand.checkpoint.resolve()] = str(operand.checkpoint)
        for path, name in names.items():
            if path in seen:
                raise UsageError(
                    f"{seen[path]} and {operand.label} are the same, {name}: there is nothing to compare.",
                    hint="give specs that differ in more than their seed, or seeds that do not overlap"
                    if operand.spec is not None
                    else None,
                )
            seen[path] = operand.label


def _require_test(operand: Operand, root: Path | None) -> None:
    """Refuse, before hours of training, a set whose test errors nobody will be able to measure."""
    if operand.spec is not None:
        dataset = operand.spec.data.dataset
    elif operand.checkpoint is not None:
        dataset = Checkpoint.read(operand.checkpoint).dataset
        root = root or noted_data_root(operand.checkpoint)
    else:
        return
    there = dataset.splits(root)
    if "test" not in there:
        raise DataError(
            f"a comparison measures test errors, and this {dataset.kind} has no test images: it has "
            f"{', '.join(there)}.",
            hint="put images of each class into test/CLASS beside train and val, or evaluate each "
            "run by itself",
            page="no-images-where-they-are-looked-for",
        )


def _published(to: str | None) -> PublishedTable | None:
    if to is None:
        return None
    source, _, name = to.partition(":")
    if source != "paper":
        known = ", ".join(f"paper:{table}" for table in published_tables())
        raise UsageError(f"{to!r} has no published numbers; known are the paper's tables: {known}.")
    return published_table(name)


def _name(read: Sequence[Operand], seeds: int, budget: str | float | None) -> str:
    """The same for the same call, so that one that was interrupted finds its files again."""
    digest = hashlib.sha256(f"{seeds} {budget}".encode())
    for operand in read:
        named = operand.spec.fingerprint() if operand.spec else str(operand.checkpoint)
        digest.update(named.encode())
    labels = re.sub(r"[/\\\x00-\x1f]", "-", "-vs-".join(operand.label for operand in read))
    short = labels.encode()[:80].decode(errors="ignore")
    return f"{short}-{digest.hexdigest()[:8]}"


def _seed_by_seed(planned: Mapping[str, Sequence[QueuedRun]]) -> list[QueuedRun]:
    """An interrupted comparison has every contender as often as another."""
    return [run for runs in zip(*planned.values(), strict=True) for run in runs]


def _tested_images(spec: RunSpec) -> int:
    """Training images, test images by the last and by the best weights, and validation images' responses."""
    sizes = spec.data.dataset.sizes
    return int(sizes["train"] + 2 * sizes.get("test", 0) + 2 * sizes["val"])


def _test(
    read: Sequence[Operand],
    planned: Mapping[str, Sequence[QueuedRun]],
    table: PublishedTable | None,
    study: Study,
) -> Comparison:
    contenders = []
    for operand in read:
        paths = [operand.checkpoint] if operand.checkpoint is not None else []
        paths += [RunDir(run.path).last for run in planned.get(operand.label, ())]
        contenders.append(Contender(operand.label, tuple(paths)))
    study.on_event(Testing())
    rows, pairs = compare_contenders(
        contenders, test=study.evaluator("test"), train=study.evaluator("train"), published=table
    )
    for row in rows:
        row["responses"] = _responses(row, study)
    if table is not None and not any(row["published"] for row in rows):
        study.note(
            f"the paper's {table.name} has none of these nets: {', '.join(row['label'] for row in rows)}"
        )
    return Comparison(tuple(rows), tuple(pairs), provenance(), study.out)


def _responses(row: ContenderRow, study: Study) -> ResponsesRow | None:
    """Responses of the first seed; None, and a note why, where the net or the set has none to show."""
    try:
        path = Path(row["runs"][0]["checkpoint"])
        return measure_responses(path, None, study.data_root, study.device)
    except (UsageError, DataError) as error:
        study.note(f"{row['label']}: no layer responses: {error}")
        return None
