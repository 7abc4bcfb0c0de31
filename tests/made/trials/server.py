"""Imports everything, then forks one ``rescli`` after another: ``python -m trials.server``."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import json
import multiprocessing.util
import os
import pkgutil
import resource
import signal
import sys
import traceback
from typing import Any

__all__: list[str] = []


def _import_all() -> None:
    for name in ("matplotlib.pyplot", "PIL.Image", "scipy.stats", "torch", "torchvision"):
        importlib.import_module(name)
    import rescli

    for module in pkgutil.walk_packages(rescli.__path__, "rescli."):
        if not module.name.endswith("__main__") and "triton_code" not in module.name:
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def _become(request: dict[str, Any]) -> int:
    """In the child: what it is told to be, then ``rescli``; its exit code."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for descriptor, name, stream in ((1, "out", sys.stdout), (2, "err", sys.stderr)):
        stream.flush()
        place = request[name]
        if place == "closed":
            os.close(descriptor)
            setattr(sys, stream.name.strip("<>"), None)
            continue
        target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, descriptor)
        os.close(target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, value in request["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(request["cwd"])
    for name, value in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    fault = request["fault"]
    if fault is not None:
        library = ctypes.CDLL(None)
        library.rescli_fault_set(fault["at"], fault["do"].encode(), os.fsencode(fault["under"]))
    sys.argv = ["rescli", *request["argv"]]
    from rescli.cli.app import main

    try:
        main()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # as the interpreter would: the suite looks for it
        traceback.print_exc()
        return 1


def _child(request: dict[str, Any]) -> None:
    code = 1
    # What the imports registered takes longer than a command, and belongs to the process that imported.
    atexit._clear()
    atexit.register(multiprocessing.util._exit_function)
    try:
        code = _become(request)
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def serve() -> None:
    """Read requests, one a line, until stdin ends; say who was begun, and how it ended."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    _import_all()
    say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(answers.fileno())
            _child(json.loads(line))
        say({"pid": pid})
        _, status, usage = os.wait4(pid, 0)
        say({"code": os.waitstatus_to_exitcode(status), "peak_bytes": usage.ru_maxrss * 1024})


if __name__ == "__main__":
    serve()
