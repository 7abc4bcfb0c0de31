"""The archives of ImageNet 2012 as image-net.org publishes them, and whether a file is one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rescli.data.imagenet.labels import DEVKIT
from rescli.errors import CheckpointError, DataError
from rescli.files import open_file, write_json
from rescli.stored.json_values import read_stored

__all__ = ["OFFICIAL", "TRAIN", "VAL", "ByteProgress", "CheckedArchive", "Official", "check_md5"]

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"

ByteProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done, the bytes done and the bytes in all."""


_CHECKED = ".rescli-checked.json"
"""Archives whose MD5 was right: to read 148 GB a second time takes long."""


@dataclass(frozen=True)
class Official:
    """An archive as image-net.org publishes it.

    Args:
        num_bytes: its size; None where it is checked whatever its size.
        md5: hex digest of its bytes.
    """

    num_bytes: int | None
    md5: str


OFFICIAL = {
    TRAIN: Official(147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL: Official(6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
    DEVKIT: Official(None, "fa75699e90414af021442c21a62c3abf"),
}


@dataclass(frozen=True)
class CheckedArchive:
    """An archive that was read.

    Args:
        archive: its path.
        num_bytes: its size.
        official: whether it is the one that image-net.org publishes.
    """

    archive: str
    num_bytes: int
    official: bool


def check_md5(path: Path, root: Path, progress: ByteProgress, warn: Callable[[str], None]) -> CheckedArchive:
    """Hold an archive against the official one; what was right once is not read again.

    Args:
        path: the archive.
        root: the folder that remembers what was checked.
        progress: called with what is done, the bytes done and the bytes in all.
        warn: called where the archive is not the official one, or is not checked.

    Raises:
        DataError: it has the official one's size and another content.
    """
    official, stat = OFFICIAL[path.name], path.stat()
    size = stat.st_size
    if official.num_bytes not in (None, size):
        warn(f"{path} has {size:,} bytes, the official one {official.num_bytes:,}: its MD5 is not checked")
        return CheckedArchive(str(path), size, official=False)
    memory = root / _CHECKED
    try:
        known = read_stored(memory, dict[str, Any]) if memory.exists() else {}
    except CheckpointError:  # what was checked is checked again
        known = {}
    mark = [size, stat.st_mtime_ns, official.md5]
    if known.get(path.name) == mark:
        return CheckedArchive(str(path), size, official=True)
    digest = hashlib.md5(usedforsecurity=False)
    with open_file(path) as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
            progress(f"{path.name}: MD5", file.tell(), size)
    if digest.hexdigest() != official.md5:
        if official.num_bytes is None:
            warn(f"{path} is not the official archive: its MD5 is {digest.hexdigest()}")
            return CheckedArchive(str(path), size, official=False)
        raise DataError(
            f"{path} is damaged: its MD5 is {digest.hexdigest()}, expected {official.md5}.",
            hint="get the archive again",
        )
    write_json(memory, {**known, path.name: mark})
    return CheckedArchive(str(path), size, official=True)
