"""GNU's OpenMP runtime, as torch has loaded it: how it is found, and how its threads are made to wait less.

Its threads wait for each other at the end of every parallel region. They first spin, 300,000 times, and then
sleep; where the pools of a process hold more threads than it has cores, they spin 100 times only. A pool
belongs to the thread that opened a parallel region, and ends with it. So a thread of ours that opens one and
then sleeps switches the whole process to short waiting, until that thread ends. The number of threads that
compute stays as it is, and so does every result.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from functools import cache
from pathlib import Path

import torch

__all__ = ["ShortWaiting", "find_libgomp"]

_MAPS = Path("/proc/self/maps")

_RUNTIMES = re.compile(r"(libgomp|libiomp5|libomp)\b[^/]*\.so[^/]*$")


@cache
def find_libgomp() -> Path | None:
    """The libgomp whose threads torch computes with; None where it has another runtime, or nobody can say."""
    if sys.platform != "linux":
        return None
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    mapped = {line.split(maxsplit=5)[5] for line in lines if line.count("/") and len(line.split()) > 5}
    loaded = {path: found[1] for path in mapped if (found := _RUNTIMES.search(os.path.basename(path)))}
    of_torch = [path for path in loaded if Path(path).is_relative_to(Path(torch.__file__).parent)]
    # Another package may have brought a runtime of its own; only torch's matters, wherever that lies.
    (only, *others) = of_torch or list(loaded) or [""]
    return Path(only) if not others and loaded.get(only) == "libgomp" else None


class ShortWaiting:
    """Short waiting of all threads of the process, from its making until ``end``."""

    def __init__(self, libgomp: Path, extra_threads: int) -> None:
        """Begin the pool that nobody computes with.

        Args:
            libgomp: as ``find_libgomp`` gave it.
            extra_threads: how many the pool has beside the one that opens it: with the pools that are there,
                more than cores.

        Raises:
            OSError: the library is not loaded (any more), or has no such function.
            RuntimeError: there is no room for so many threads.
        """
        try:
            runtime = ctypes.CDLL(str(libgomp), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            self._parallel, nothing = runtime.GOMP_parallel, ctypes.CDLL(None).free
        except AttributeError as error:
            raise OSError(str(error)) from error
        self._parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        self._parallel.restype = None
        self._nothing = ctypes.cast(nothing, ctypes.c_void_p)  # free(NULL) does nothing
        _try_threads(extra_threads + 1)
        self._opened, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=self._hold, args=(extra_threads + 1,), name="rescli-short-waiting", daemon=True
        )
        self._thread.start()
        self._opened.wait()

    def end(self) -> None:
        """Let the threads wait as before."""
        self._over.set()
        self._thread.join()

    def _hold(self, team: int) -> None:
        self._parallel(self._nothing, None, team, 0)
        self._opened.set()
        self._over.wait()


def _try_threads(count: int) -> None:
    """Begin and end so many threads: where there is no room for them, libgomp would end the process."""
    over = threading.Event()
    begun = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            begun.append(thread)
    finally:
        over.set()
        for thread in begun:
            thread.join()
