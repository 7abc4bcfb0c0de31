"""Which file system a path lies on, as Linux tells it. Imports no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileSystem", "file_system_of"]

_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
"""How the kernel writes blanks and backslashes; all else of a name stands as its bytes."""

_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "glusterfs", "fuse.sshfs")


@dataclass(frozen=True)
class FileSystem:
    """Attributes: ``kind`` as the kernel names it, ``ext4``; ``mounted_at``; ``read_only``."""

    kind: str
    mounted_at: str
    read_only: bool

    @property
    def is_network(self) -> bool:
        """Whether other machines may write to it too, and each call may wait for a network."""
        return self.kind.startswith(_NETWORK)


def file_system_of(path: Path) -> FileSystem | None:
    """The one that holds ``path``, which need not exist; None where nobody says."""
    try:
        lines = _MOUNTS.read_bytes().split(b"\n")
    except OSError:
        return None
    place = Path(os.path.realpath(path))
    best: FileSystem | None = None
    for line in lines:
        before, _, after = line.partition(b" - ")
        words, kind = before.split(), after.split()[:1]
        if len(words) < 6 or not kind:
            continue
        mounted = os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), words[4]))
        inside = place == Path(mounted) or Path(mounted) in place.parents
        if inside and (
            best is None or len(mounted) >= len(best.mounted_at)
        ):  # the last one hides those below
            best = FileSystem(os.fsdecode(kind[0]), mounted, b"ro" in words[5].split(b","))
    return best
