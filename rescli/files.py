"""Writing files so that a kill, a full disk or a power cut leaves the old one or the new one, whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rescli.errors import CheckpointError

__all__ = ["cache_dir", "fsync_path", "read_json", "write_atomically", "write_json"]


def cache_dir() -> Path:
    """``rescli`` in the user's cache: XDG_CACHE_HOME, else ~/.cache. Nothing in it is the only copy."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "rescli"


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, fsync, rename into place, fsync the directory.

    Raises:
        CheckpointError: the disk is full or not writable; what stood at ``path`` is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        fsync_path(path.parent)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; what was saved before is untouched.",
            hint=f"make room for {len(data) / 1e6:.1f} MB (df -h {path.parent}) and try again; "
            "a run can be resumed",
        ) from error


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises:
    CheckpointError: missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"no such file: {path}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def fsync_path(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk.

    Without the latter a rename may not survive a power cut.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
