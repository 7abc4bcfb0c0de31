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

import torch

from rescli import __version__
from rescli.errors import CheckpointError
from rescli.hardware.numerics import Numerics
from rescli.kernels.conv.choice import Convolutions
from rescli.runs.assembly import Assembly
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import (
    ConvolutionsRecord,
    DataRecord,
    GitState,
    Provenance,
    RunRecord,
    read_record,
)
from rescli.spec.run import RunSpec

__all__ = [
    "convolutions_record",
    "data_record",
    "git_state",
    "gpu_driver",
    "now",
    "peak_memory_bytes",
    "provenance",
    "record_before",
    "skipping_since",
]

_log = logging.getLogger(__name__)


def convolutions_record(convolutions: Convolutions) -> ConvolutionsRecord:
    """What the record says of them."""
    return ConvolutionsRecord(
        forward=convolutions.forward,
        input_gradient=convolutions.input_gradient,
        weight_gradient=convolutions.weight_gradient,
        why_torch=convolutions.why_torch,
    )


def data_record(assembly: Assembly) -> DataRecord:
    """Which images, as counts and fingerprints by split."""
    splits = {"train": assembly.train_set, "val": assembly.val_set}
    return {
        "dataset": assembly.spec.data.dataset.kind,
        "num_images": {name: len(part) for name, part in splits.items() if part is not None},
        "sha256": {name: part.fingerprint for name, part in splits.items() if part is not None},
    }


def record_before(run_dir: RunDir) -> RunRecord:
    """What the record of a run held; nothing where it is damaged: what training needs lies in the state."""
    if not run_dir.record.exists():
        return {"results": {}}
    try:
        return read_record(run_dir)
    except CheckpointError as error:
        _log.warning(
            "%s It is written anew, without what only it knew: when the run began, its resumes, "
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
