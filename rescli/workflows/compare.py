"""``compare``: train what is missing, test everything alike, and say what the difference is worth."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from rescli.errors import DataError, UsageError
from rescli.remedy import Remedy
from rescli.report.comparison.comparison import Comparison
from rescli.runs.directory import RunDir
from rescli.runs.record import provenance
from rescli.spec.from_names import Choice
from rescli.spec.run import RunSpec
from rescli.studies.comparison import Contender, compare_contenders
from rescli.studies.events import StudyEvent, StudySink, Testing
from rescli.studies.operands import Operand, read_operand
from rescli.studies.published import PublishedTable, published_table, published_tables
from rescli.studies.queued_run import QueuedRun
from rescli.studies.responses import ResponsesRow, measure_responses
from rescli.studies.rows import ContenderRow
from rescli.workflows.arguments import check_count
from rescli.workflows.notes import with_notes
from rescli.workflows.stopping import Stop, stop_on_interrupt
from rescli.workflows.study import Study, as_seconds

__all__ = ["compare"]


@with_notes
def compare(
    operands: Sequence[str | os.PathLike[str] | RunSpec],
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
    on_event: StudySink | None = None,
    stopping: Callable[[], AbstractContextManager[Stop]] = stop_on_interrupt,
) -> Comparison:
    """Compare nets: the error of each, a test of each difference, curves.

    Runs are found again by their spec: what is finished is used again, and what was interrupted goes on.

    Args:
        operands: what to compare, two or more: model names (``"plain-20"``), presets, specs, run directories
            and checkpoints, mixed.
        dataset: the data set of the model names; None for cifar10.
        seeds: runs of each net, with seeds 0, 1, ...
        iterations: stop after so many; milestones stay where they are.
        budget: shorten all schedules alike so that all runs fit, in seconds or as ``"20m"``.
        batch_size: images per iteration.
        precision: of the convolutions: auto, fp32, bf16 or fp16.
        changes: keys of all specs, ``{"optimizer.lr": 0.05}``.
        to: the paper's numbers beside ours: ``"paper:table6"``, or table2, 3 or 4.
        runs: where run directories lie and are found again.
        out: where the comparison is written; None for a folder below ``comparisons``.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.
        device: auto, cpu, cuda or mps.
        on_event: told of every ``rescli.studies.events.StudyEvent``.
        stopping: a block within which somebody may ask the training to stop; Ctrl-C does.

    Raises:
        UsageError: a name that nothing answers to, or a budget too short to learn anything.
        CheckpointError: a checkpoint that is missing or damaged.
        DataError: images missing or damaged.
        DivergedError: a run's loss is no longer finite.
        Interrupted: Ctrl-C; the state of the run is saved, and the same call goes on.

    Example:
        >>> found = compare(["plain-20", "resnet-20"], dataset="shapes", seeds=3)  # doctest: +SKIP
        >>> found.verdict, found.table(), found.figure()  # doctest: +SKIP
    """
    check_count("seeds", seeds, least=1)
    if len(operands) < 2:
        raise UsageError("a comparison needs two things or more.", remedy=Remedy("compare"))
    if any(operand in operands[:place] for place, operand in enumerate(operands)):
        raise UsageError("the same thing was named twice.")
    table = _published(to)
    seconds = as_seconds(budget)
    choice = Choice(
        dataset=dataset,
        iterations=iterations,
        batch_size=batch_size,
        precision=precision,
        overrides=[f"{key}={_toml(value)}" for key, value in (changes or {}).items()],
    )
    read = _read_all(operands, choice)
    study = Study(
        runs=Path(runs),
        out=Path(out) if out is not None else Path("comparisons") / _name(read, seeds, budget),
        budget_seconds=seconds,
        data_root=Path(data_root) if data_root is not None else None,
        device=device,
        on_event=on_event if on_event is not None else _silent,
        stopping=stopping,
        tested_images=_tested_images,
    )
    wanted = {
        operand.label: [operand.spec.model_copy(update={"seed": seed}) for seed in range(seeds)]
        for operand in read
        if operand.spec is not None
    }
    planned = study.train(wanted, order=_seed_by_seed) if wanted else {}
    found = _test(read, planned, table, study)
    found.save(study.out)
    return found


def _read_all(operands: Sequence[str | os.PathLike[str] | RunSpec], choice: Choice) -> list[Operand]:
    """What each operand names, under labels of its own: ``last`` and ``last (2)``."""
    read: list[Operand] = []
    for given in operands:
        if isinstance(given, RunSpec):
            operand = Operand(given.model.name, spec=given)
        else:
            operand = read_operand(os.fspath(given), choice)
        base, labels, count = operand.label, {other.label for other in read}, 1
        while operand.label in labels:
            count += 1
            operand = replace(operand, label=f"{base} ({count})")
        read.append(operand)
    return read


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
    labels = "-vs-".join(operand.label.replace("/", "-") for operand in read)
    return f"{labels[:80]}-{digest.hexdigest()[:8]}"


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
    return Comparison(tuple(rows), tuple(pairs), provenance(), study.out)


def _responses(row: ContenderRow, study: Study) -> ResponsesRow | None:
    """Responses of the first seed; None, and a note why, where the net or the set has none to show."""
    try:
        path = Path(row["runs"][0]["checkpoint"])
        return measure_responses(path, None, study.data_root, study.device)
    except (UsageError, DataError) as error:
        study.note(f"{row['label']}: no layer responses: {error}")
        return None


def _toml(value: object) -> str:
    """A value as it is written behind a key of a spec."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(below)}" for key, below in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _silent(_event: StudyEvent) -> None:
    pass
