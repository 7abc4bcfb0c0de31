"""What a command left in its folder, without what the clock says: held against an undisturbed run's."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Left", "damaged", "differences", "left_in"]

Left = Mapping[str, str]
"""Path below the folder to a hash of what counts of it; a folder ends in /."""

_CLOCK = re.compile(
    r".*_seconds|images_per_second|started|updated|opened|resumed_at|sessions|cached|git|peak_memory_bytes"
    r"|metrics_bytes|metrics_sha256|entry_sha256|content_sha256"
)
"""Keys that say how long or when, or hash what does."""

_STATE = re.compile(r"state/(\d{8})-[0-9a-f]{12}\.safetensors$")
_FOREIGN = "cache/Microsoft"
"""What ONNX Runtime keeps of its own accord."""


def left_in(folder: Path, *, readable_only: bool = False, named: Path | None = None) -> Left:
    """Every file and folder below it; what is no file has its kind in place of a hash.

    Args:
        folder: whose content.
        named: what the folder was called when it was written into; None for its own path.
        readable_only: a file that cannot be understood has no hash, in place of an error.
    """
    found: dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            below = _STATE.sub(r"state/\1-HASH.safetensors", str(path.relative_to(folder)))
            if below.startswith(_FOREIGN):
                continue
            if path.is_symlink():
                found[below] = f"a link to {os.readlink(path)}"
            elif path.is_dir():
                found[f"{below}/"] = ""
            else:
                try:
                    found[below] = hashlib.sha256(_what_counts(path, named or folder)).hexdigest()
                except (ValueError, OSError) as error:
                    if not readable_only:
                        raise
                    found[below] = f"unreadable: {error}"
    return found


def differences(left: Left, wanted: Left) -> list[str]:
    """In words, at most ten."""
    said = [f"missing: {name}" for name in wanted if name not in left]
    said += [f"differs: {name}" for name in wanted if name in left and left[name] != wanted[name]]
    said += [f"left over: {name}" for name in left if name not in wanted]
    return said[:10]


def damaged(folder: Path) -> list[str]:
    """Files that cannot be read as what their names say; lines that may end halfway are no damage."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = [path for path in files if not any(p.startswith(".") for p in path.relative_to(folder).parts)]
    return [str(path.relative_to(folder)) for path in named if not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "np"):
                pass
    except Exception:
        return False
    return True


def _what_counts(path: Path, folder: Path) -> bytes:
    if path.name.endswith(".lock") or path.name == "data_root.json":  # who, and where: another each time
        return b""
    data = path.read_bytes()
    if path.suffix in (".html", ".svg"):  # names drawn anew each time, seconds of training in the text
        return data.rstrip()[-6:]
    if path.suffix == ".json":
        return _said(_without_clock(json.loads(data)), folder)
    if path.suffix == ".jsonl":
        rows = [_said(_without_clock(json.loads(line)), folder) for line in data.splitlines()]
        if path.name == "test_openings.jsonl":  # each look is noted, also one that was killed
            rows = sorted(set(rows))
        return b"\n".join(rows)
    if path.suffix == ".safetensors":
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        notes = header.pop("__metadata__", {})
        said = {
            key: _without_clock(_parsed(value)) for key, value in notes.items() if not _CLOCK.fullmatch(key)
        }
        return _said([header, said], folder) + data[8 + size :]
    return data


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(value: object, folder: Path) -> bytes:
    return json.dumps(value, sort_keys=True).replace(json.dumps(str(folder))[1:-1], "HERE").encode()


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"file", "sha256"} and _STATE.search(f"state/{value['file']}"):
            return value["file"][:8]
        return {key: _without_clock(inner) for key, inner in value.items() if not _CLOCK.fullmatch(key)}
    if isinstance(value, list):
        return [_without_clock(inner) for inner in value]
    return value
