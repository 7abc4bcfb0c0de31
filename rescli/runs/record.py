"""record.json: what ran, on what, from which bits, and what came out. No environment variables."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from rescli import __version__
from rescli.errors import CheckpointError
from rescli.files import read_json
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.runs.directory import RunDir, resume_command

__all__ = ["device_name", "git_state", "gpu_driver", "now", "peak_memory_bytes", "provenance", "read_record"]


class _Figures(BaseModel, strict=True, allow_inf_nan=False):
    """Of one split; all errors in percent."""

    iteration: int = 0
    num_images: int = 0
    top1_error: float = 0.0
    top5_error: float = 0.0
    loss: float = 0.0
    interval95: list[float] = []
    selection: str = ""
    protocol: str = ""
    precision: str = ""
    best_val: _Figures | None = None


class _Record(BaseModel, strict=True, allow_inf_nan=False):
    """What somebody reads out of a record, each of its type where it is there; only results must be."""

    results: dict[str, _Figures | None]
    status: str = ""
    started: str | None = None
    device: str = ""
    precision: str = ""
    scaled: bool = False
    iterations_done: int = 0
    last_saved_iteration: int | None = None
    resumed_at: list[int] = []
    train_seconds: float = 0.0
    images_per_second: float | None = None
    waited_for_data_seconds: float = 0.0
    skipped_images: list[str] = []


def read_record(run_dir: RunDir) -> dict[str, Any]:
    """record.json, which must look like one.

    Raises:
        CheckpointError: missing or damaged.
    """
    hint = f"{resume_command(run_dir.path)}   writes it anew where the run's state is whole"
    try:
        record: dict[str, Any] = read_json(run_dir.record)
        _Record.model_validate(record)
    except CheckpointError as error:
        raise CheckpointError(str(error), hint=hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        wrong = "is missing" if first["type"] == "missing" else f"cannot be {str(first['input'])[:40]!r}"
        raise CheckpointError(f"{run_dir.record} is damaged: {where} {wrong}", hint=hint) from error
    return record


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def provenance() -> dict[str, Any]:
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


def git_state(checkout: Path) -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None where there is no checkout or no git."""
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
    """Of the device's memory on CUDA, else of the process."""
    if numerics.device.type == "cuda":
        return torch.cuda.max_memory_allocated(numerics.device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
