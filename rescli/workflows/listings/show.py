"""``show``: what a checkpoint says of itself. No torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict, cast

from rescli.checkpoints.header import CheckpointHeader
from rescli.checkpoints.locate import Source, source_path
from rescli.checkpoints.metadata import KnownFigures, Origin, Section, StoredScheme
from rescli.errors import CheckpointError, RescliError
from rescli.runs.directory import RunDir
from rescli.runs.evaluating.known_results import test_result_of
from rescli.runs.sessions import sessions_of
from rescli.runs.stored_record import ImportedRecord, SessionRecord, read_record
from rescli.spec.ledger.ledger import ledger
from rescli.spec.load import spec_from_dict
from rescli.workflows.notes import with_notes

__all__ = ["CheckpointFacts", "TensorRow", "show"]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Parts of a batch normalisation that are stored and not trained."""


class TensorRow(TypedDict):
    """One stored tensor; ``dtype`` as safetensors names it, ``F32``."""

    name: str
    dtype: str
    shape: list[int]


class CheckpointFacts(TypedDict):
    """The JSON object that ``rescli show`` prints: the checkpoint's metadata, and what follows from it.

    ``model``, ``dataset``, ``spec``, ``results`` and ``data`` have the shape that their plugins gave them.
    ``results`` has the test error too, where the checkpoint's run was tested.
    ``sessions`` and ``imported`` are of the run's record, where the checkpoint lies in a run that has them.
    ``ledger`` is None where nobody knows how it was trained; ``ledger_problem`` says why its spec cannot be
    read.
    """

    model: Section
    dataset: NotRequired[Section]
    spec: NotRequired[Section | None]
    normalization: NotRequired[StoredScheme]
    class_names: NotRequired[list[str]]
    iteration: NotRequired[int]
    selection: NotRequired[str]
    results: NotRequired[dict[str, KnownFigures]]
    data: NotRequired[Origin]
    precision: NotRequired[str]
    rescli_version: NotRequired[str]
    format_version: NotRequired[int]
    content_sha256: NotRequired[str]
    sessions: NotRequired[list[SessionRecord]]
    imported: NotRequired[ImportedRecord]
    ledger: list[dict[str, str]] | None
    ledger_problem: str | None
    sha256: str
    bytes: int
    params: int
    tensors: list[TensorRow]


@with_notes
def show(path: Source) -> CheckpointFacts:
    """A checkpoint's network, results, origin, recipe, differences from the paper, and tensors.

    Args:
        path: a checkpoint, a run or its directory: its last, or a loaded net.

    Raises:
        CheckpointError: missing, damaged, or not from rescli.
        RunDirError: a folder that holds no checkpoint.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> facts = show(run)
        >>> facts["model"]["depth"], facts["iteration"], facts["params"]
        (8, 6, 75290)
    """
    header = CheckpointHeader.read(source_path(path))
    rows, problem = None, None
    if spec := header.metadata.get("spec"):
        try:
            rows = [row.to_dict() for row in ledger(spec_from_dict(spec))]
        except RescliError as error:  # of another version, or of a plugin that is not installed
            problem = str(error)
    results: dict[str, KnownFigures] = {
        split: row for split, row in header.metadata.get("results", {}).items() if row
    }
    chosen = header.metadata.get("selection"), header.metadata.get("iteration")
    if tested := test_result_of(source_path(path), *chosen):
        results["test"] = cast(
            KnownFigures, {key: value for key, value in tested.items() if key != "best_val"}
        )
    of_run = _of_run(source_path(path))
    counted = [tensor for tensor in header.tensors if not tensor.name.endswith(_STATISTICS)]
    return {
        **header.metadata,  # type: ignore[typeddict-item]
        **of_run,
        "results": results,
        "ledger": rows,
        "ledger_problem": problem,
        "sha256": header.sha256,
        "bytes": header.file_bytes,
        "params": sum(tensor.elements for tensor in counted),
        "tensors": [
            {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
            for tensor in header.tensors
        ],
    }


class _OfRun(TypedDict, total=False):
    sessions: list[SessionRecord]
    imported: ImportedRecord


def _of_run(checkpoint: Path) -> _OfRun:
    """What only the record of a checkpoint's run knows; nothing where there is none, or a damaged one."""
    run_dir = RunDir.of_checkpoint(checkpoint)
    if run_dir is None:
        return {}
    try:
        record = read_record(run_dir)
    except CheckpointError:  # said where the test error is looked for
        return {}
    found: _OfRun = {}
    if sessions := sessions_of(record):
        found["sessions"] = sessions
    if "imported" in record:
        found["imported"] = record["imported"]
    return found
