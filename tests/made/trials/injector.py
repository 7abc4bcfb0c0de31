"""A shared library that lets the k-th file operation of a process fail, or end it: see ``injector.c``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["DOES", "injector"]

DOES = ("kill", "EIO", "ENOSPC", "EDQUOT", "EROFS", "ENOENT", "EACCES", "count", "kill alone")
"""What happens at the k-th operation: SIGKILL to the session or to the one process, or this error there and
ever after."""


def injector(folder: Path) -> Path | None:
    """Compile it into ``folder``; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library, source = folder / "injector.so", Path(__file__).with_name("injector.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library
