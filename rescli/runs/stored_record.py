"""record.json as types, and reading it back. No torch."""

from __future__ import annotations

from typing import NotRequired, Required

from pydantic import with_config
from typing_extensions import TypedDict

from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT, Count, Interval, Loss, Percent, Seconds

__all__ = [
    "ContinuedRecord",
    "ConvolutionsRecord",
    "DataRecord",
    "GitState",
    "ImportOrigin",
    "ImportedRecord",
    "Provenance",
    "RunRecord",
    "SessionRecord",
    "SplitResult",
    "StartRecord",
    "read_record",
]


@with_config(EXACT)
class SplitResult(TypedDict, total=False):
    """What came out on one split; errors in percent, loss in nats, ``interval95`` of the top-1 error."""

    iteration: Count | None
    num_images: Count
    top1_error: Percent
    top5_error: Percent | None
    loss: Loss
    interval95: Interval
    selection: str
    protocol: str
    precision: str
    best_val: SplitResult | None


@with_config(EXACT)
class DataRecord(TypedDict):
    """Which images, as counts and fingerprints by split."""

    dataset: str
    num_images: dict[str, Count]
    sha256: dict[str, str]


@with_config(EXACT)
class GitState(TypedDict):
    """The commit of a checkout, and whether tracked files differ from it."""

    commit: str
    dirty: bool


@with_config(EXACT)
class Provenance(TypedDict, total=False):
    """The software that computed a result."""

    rescli_version: str
    versions: dict[str, str | None]
    platform: str
    git: GitState | None


@with_config(EXACT)
class StartRecord(TypedDict):
    """The weights that a run began with; ``head`` is kept, reordered or new."""

    checkpoint: str
    sha256: str
    head: str


@with_config(EXACT)
class ContinuedRecord(TypedDict):
    """The run whose state a longer one went on from: where, from which iteration, and its own spec."""

    run: str
    iteration: Count
    iterations: Count
    spec_sha256: str


@with_config(EXACT)
class ConvolutionsRecord(TypedDict):
    """What computed the 3x3 convolutions of a training step, and why some or all are torch's."""

    forward: str
    input_gradient: str
    weight_gradient: str
    why_torch: str | None


@with_config(EXACT)
class SessionRecord(TypedDict, total=False):
    """What one process did of a run: from its start or resume until it ended.

    Of the sessions before a record listed them, only ``from_iteration`` and how far they got is known.
    ``iterations_done`` may be more than the next session begins with: what was not saved is computed again.
    """

    began: str
    from_iteration: Count
    iterations_done: Count
    status: str
    """running, finished, interrupted, diverged or failed; killed where the process could not say"""
    updated: str
    device: str
    precision: str
    engine: str
    kernels: str
    threads: Count
    ranks: Count
    rescli_version: str
    torch_version: str | None
    git: GitState | None


@with_config(EXACT)
class ImportOrigin(TypedDict):
    """Where a run was copied from, and when."""

    folder: str
    date: str


@with_config(EXACT)
class ImportedRecord(ImportOrigin):
    """Where a run that was trained on another machine was copied from, and when.

    ``earlier`` has where it was copied from before, on the machines that it came over, the first one first.
    """

    earlier: NotRequired[list[ImportOrigin]]


@with_config(EXACT)
class RunRecord(Provenance, total=False):
    """What record.json holds; one of an earlier version may lack anything but ``results``."""

    name: str
    status: str
    """running, finished, interrupted, diverged or failed"""
    spec_sha256: str
    started: str | None
    updated: str
    device: str
    precision: str
    engine: str
    engine_reason: str | None
    kernels: str
    kernels_reason: str | None
    convolutions: ConvolutionsRecord
    threads: Count
    ranks: Count
    params: Count
    data: DataRecord
    start_from: StartRecord
    continues: ContinuedRecord
    resumed_at: list[Count]
    sessions: list[SessionRecord]
    imported: ImportedRecord
    ledger: list[dict[str, str]]
    scaled: bool
    iterations_done: Count
    last_saved_iteration: Count | None
    train_seconds: Seconds
    images_per_second: Seconds | None
    peak_memory_bytes: Count | None
    shared_cpu_seconds: Seconds
    """for how long, evaluations included, threads waited short beside others; absent where nothing watched"""
    waited_for_data_seconds: Seconds
    skipped_images: list[str]
    skipped_val_images: list[str]
    skipping_since: Count
    """the iteration at which the run was told to go on without damaged images; absent from the beginning"""
    results: Required[dict[str, SplitResult | None]]


def read_record(run_dir: RunDir) -> RunRecord:
    """Read record.json, which must look like one.

    Raises:
        CheckpointError: missing or damaged.
    """
    remedy = Remedy("resume", str(run_dir.path), "writes it anew where the run's state is whole")
    return read_stored(run_dir.record, RunRecord, remedy=remedy)
