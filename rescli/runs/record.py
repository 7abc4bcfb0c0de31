"""record.json: what ran, on what, from which bits, and what came out. No environment variables."""

from __future__ import annotations

import logging
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Required

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from rescli import __version__
from rescli.errors import CheckpointError
from rescli.files import read_json
from rescli.hardware.numerics import Numerics
from rescli.kernels.conv.choice import Convolutions
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.spec.run import RunSpec

__all__ = [
    "ContinuedRecord",
    "ConvolutionsRecord",
    "DataRecord",
    "GitState",
    "Provenance",
    "RunRecord",
    "SplitResult",
    "StartRecord",
    "convolutions_record",
    "git_state",
    "gpu_driver",
    "now",
    "peak_memory_bytes",
    "provenance",
    "read_record",
    "record_before",
    "skipping_since",
]

_log = logging.getLogger(__name__)

_EXACT = ConfigDict(strict=True, allow_inf_nan=False)


@with_config(_EXACT)
class SplitResult(TypedDict, total=False):
    """What came out on one split; errors in percent, loss in nats, ``interval95`` of the top-1 error."""

    iteration: int | None
    num_images: int
    top1_error: float
    top5_error: float | None
    loss: float
    interval95: list[float]
    selection: str
    protocol: str
    precision: str
    best_val: SplitResult | None


@with_config(_EXACT)
class DataRecord(TypedDict):
    """Which images, as counts and fingerprints by split."""

    dataset: str
    num_images: dict[str, int]
    sha256: dict[str, str]


@with_config(_EXACT)
class GitState(TypedDict):
    """The commit of a checkout, and whether tracked files differ from it."""

    commit: str
    dirty: bool


@with_config(_EXACT)
class Provenance(TypedDict, total=False):
    """The software that computed a result."""

    rescli_version: str
    versions: dict[str, str | None]
    platform: str
    git: GitState | None


@with_config(_EXACT)
class StartRecord(TypedDict):
    """The weights that a run began with; ``head`` is kept, reordered or new."""

    checkpoint: str
    sha256: str
    head: str


@with_config(_EXACT)
class ContinuedRecord(TypedDict):
    """The run whose state a longer one went on from: where, from which iteration, and its own spec."""

    run: str
    iteration: int
    iterations: int
    spec_sha256: str


@with_config(_EXACT)
class ConvolutionsRecord(TypedDict):
    """What computed the 3x3 convolutions of a training step, and why some or all are torch's."""

    forward: str
    input_gradient: str
    weight_gradient: str
    why_torch: str | None


@with_config(_EXACT)
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
    threads: int
    ranks: int
    params: int
    data: DataRecord
    start_from: StartRecord
    continues: ContinuedRecord
    resumed_at: list[int]
    ledger: list[dict[str, str]]
    scaled: bool
    iterations_done: int
    last_saved_iteration: int | None
    train_seconds: float
    images_per_second: float | None
    peak_memory_bytes: int | None
    shared_cpu_seconds: float
    """for how long, evaluations included, threads waited short beside others; absent where nothing watched"""
    waited_for_data_seconds: float
    skipped_images: list[str]
    skipped_val_images: list[str]
    skipping_since: int
    """the iteration at which the run was told to go on without damaged images; absent from the beginning"""
    results: Required[dict[str, SplitResult | None]]


_ANY_RECORD = TypeAdapter(RunRecord)


def convolutions_record(convolutions: Convolutions) -> ConvolutionsRecord:
    """What the record says of them."""
    return ConvolutionsRecord(
        forward=convolutions.forward,
        input_gradient=convolutions.input_gradient,
        weight_gradient=convolutions.weight_gradient,
        why_torch=convolutions.why_torch,
    )


def read_record(run_dir: RunDir) -> RunRecord:
    """Read record.json, which must look like one.

    Raises:
        CheckpointError: missing or damaged.
    """
    remedy = Remedy("resume", str(run_dir.path), "writes it anew where the run's state is whole")
    try:
        record: RunRecord = read_json(run_dir.record)
        _ANY_RECORD.validate_python(record)
    except CheckpointError as error:
        raise CheckpointError(str(error), remedy=remedy) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        wrong = "is missing" if first["type"] == "missing" else f"cannot be {str(first['input'])[:40]!r}"
        raise CheckpointError(f"{run_dir.record} is damaged: {where} {wrong}", remedy=remedy) from error
    return record


def record_before(run_dir: RunDir) -> RunRecord:
    """What the record of a run held; nothing where it is damaged: what training needs lies in the state."""
    if not run_dir.record.exists():
        return {"results": {}}
    try:
        return read_record(run_dir)
    except CheckpointError as error:
        _log.warning(
            "%s; it is written anew, without what only it knew: when the run began, its resumes, "
            "skipped images, a test error",
            error,
        )
        return {"results": {}}


def skipping_since(before: RunRecord, spec: RunSpec, step: int) -> int | None:
    """The iteration at which a resume began to leave out damaged images; None where none did."""
    # With a saved state no other key of the spec can have changed; without one, the run begins at 0.
    changed = before.get("spec_sha256", spec.fingerprint()) != spec.fingerprint()
    return step if changed and spec.data.skip_damaged else before.get("skipping_since")


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def provenance() -> Provenance:
    """Versions of everything that computes, and the git commit of a checkout."""
    return {
        "rescli_version": __version__,
        "versions": _versions(),
        "platform": platform.platform(),
        "git": git_state(Path(__file__).resolve().parents[2]),
    }


def _versions() -> dict[str, str | None]:
    packages = ("torch", "numpy", "safetensors", "pydantic")
    versions: dict[str, str | None] = {name: version(name) for name in packages}
    on_cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        **versions,
        "cuda": torch.version.cuda if on_cuda else None,
        "cudnn": str(torch.backends.cudnn.version()) if on_cuda else None,  # type: ignore[no-untyped-call]
    }


def git_state(checkout: Path) -> GitState | None:
    """The state of a checkout; None where there is none, or no git."""
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return {
            "commit": commit,
            "dirty": bool(_git(checkout, "status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()


def gpu_driver() -> str | None:
    """The version of NVIDIA's driver; None where nobody can say."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def peak_memory_bytes(numerics: Numerics) -> int:
    """The most memory that was in use: of the device on CUDA, else of the process."""
    if numerics.device.type == "cuda":
        return torch.cuda.max_memory_allocated(numerics.device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
