"""The import of torch, the longest part of a start, with less of it to wait for. Imports no torch itself."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rescli.hardware.stop_signals import STOP_SIGNALS

__all__ = ["importing_torch", "preload_torch"]


def preload_torch() -> None:
    """Begin to load torch's libraries from another thread, as far as they know nothing of Python.

    What a process decides before OpenMP's runtime starts it must have decided by now. Nothing happens where
    torch is imported already, or where the system or the installation is another than is known here: then the
    import does all of it.
    """
    if sys.platform != "linux" or "torch" in sys.modules:
        return
    with suppress(ImportError, ValueError, OSError, AttributeError):
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            return
        libraries = Path(spec.origin).with_name("lib")
        # Called as a function of C, it lets Python go on meanwhile; ctypes.CDLL would not.
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p

        def load() -> None:
            # In torch's order, and as it opens them.
            for name, mode in (("libtorch_global_deps.so", os.RTLD_GLOBAL), ("libtorch.so", 0)):
                library = libraries / name
                if library.is_file():
                    dlopen(os.fsencode(library), os.RTLD_NOW | mode)

        # No daemon: the process must not end while constructors of a library run.
        threading.Thread(target=load, name="rescli-torch", daemon=False).start()


@contextmanager
def importing_torch() -> Iterator[None]:
    """A block that imports torch, which no signal may cut off: half imported, it aborts or hides Ctrl-C.

    What came meanwhile is answered at the end of the block. No garbage is collected within it: among a
    million objects there is none. For a command's process: what was made by its end is not looked through
    again.
    """
    if "torch" in sys.modules or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _frame: came.append(number))
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collects:
            gc.enable()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
