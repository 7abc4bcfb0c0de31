"""Imports everything, then forks one ``rescli`` after another: ``python -m trials.server``."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import importlib.util
import json
import multiprocessing.util
import os
import pkgutil
import resource
import select
import signal
import sys
import threading
import traceback
from typing import Any

__all__: list[str] = []

_FORKING = "multiprocessing.popen_fork"
_NEW_MOUNTS, _REC_PRIVATE = 0x20000, 0x44000
_READ_ONLY, _REMOUNT, _DETACH = 1, 32, 2


def _import_all() -> None:
    # The last is imported where it is used, by users who may not read what Python is made of, too.
    for name in ("matplotlib.pyplot", "PIL.Image", "scipy.stats", "torch", "torchvision", _FORKING):
        importlib.import_module(name)
    import encodings

    import typer

    import rescli

    for codec in pkgutil.iter_modules(encodings.__path__):  # another user may not be let into this Python
        with contextlib.suppress(ImportError):
            importlib.import_module(f"encodings.{codec.name}")
    for module in (
        *pkgutil.walk_packages(typer.__path__, "typer."),
        *pkgutil.walk_packages(rescli.__path__, "rescli."),
    ):
        if not module.name.endswith("__main__") and "triton_code" not in module.name:
            with contextlib.suppress(ImportError, AssertionError):  # of another system
                importlib.import_module(module.name)


def _in_this_locale(value: Any) -> Any:
    """Names as this interpreter has them, which may take text for ASCII."""
    if isinstance(value, str):
        return os.fsdecode(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, list):
        return [_in_this_locale(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _in_this_locale(inner) for key, inner in value.items()}
    return value


def _become(request: dict[str, Any]) -> int:
    """In the child: what it is told to be, then ``rescli``; its exit code."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _direct_streams(request)
    if request["in_background"]:
        pid = os.fork()
        if pid != 0:
            _, status = os.waitpid(pid, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 255)
        os.setpgid(0, 0)
    for name, value in request["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(request["cwd"])
    for name, value in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    library = ctypes.CDLL(None)
    if request["fault"] is not None:
        os.environ["RESCLI_FAULT"] = request["fault"]
        library.rescli_fault_set(os.fsencode(request["fault"]))
    if request["clock"] is not None:
        library.rescli_clock_set(*map(ctypes.c_long, request["clock"]))
    if request["umask"] is not None:
        os.umask(request["umask"])
    if request["user"] is not None:
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])
    if request["before"] is not None:
        module, function = request["before"].split(":")
        getattr(importlib.import_module(module), function)()
    sys.argv = ["rescli", *request["argv"]]
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("rescli.__main__")  # for those it spawns
    from rescli.cli.app import main

    try:
        main()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:  # as the interpreter would, but for its traceback's frames of this file
        traceback.print_exc()
        return 130
    except BaseException:  # as the interpreter would: the suite looks for it
        traceback.print_exc()
        return 1


def _direct_streams(request: dict[str, Any]) -> None:
    """As the interpreter makes them when it begins; the first terminal becomes the session's own."""
    for descriptor, name, stream in ((1, "out", "stdout"), (2, "err", "stderr")):
        getattr(sys, stream).flush()
        place = request[name]
        if place == "closed":
            os.close(descriptor)
            setattr(sys, stream, None)
            setattr(sys, f"__{stream}__", None)
            continue
        target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, descriptor)
        os.close(target)
        errors = "strict" if name == "out" else "backslashreplace"
        made = open(descriptor, "w", encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        made.reconfigure(
            line_buffering=name == "err" or os.isatty(descriptor),
            write_through=bool(request["env"].get("PYTHONUNBUFFERED")),
        )
        setattr(sys, stream, made)
        setattr(sys, f"__{stream}__", made)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _child(request: dict[str, Any]) -> None:
    code = 1
    # What the imports registered takes longer than a command, and belongs to the process that imported.
    atexit._clear()
    atexit.register(multiprocessing.util._exit_function)
    try:
        code = _become(request)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except Exception:
            code = 120  # as the interpreter, where what was printed cannot be written at its end
        with contextlib.suppress(Exception):
            sys.stderr.flush()
    except BaseException:
        with contextlib.suppress(Exception):
            traceback.print_exc()
            sys.stderr.flush()
    finally:
        os._exit(code)


def _mounts_of_its_own() -> bool:
    """Leave the machine's table of mounts; False where that is not allowed."""
    library = ctypes.CDLL(None, use_errno=True)
    return (
        os.geteuid() == 0
        and library.unshare(_NEW_MOUNTS) == 0
        and library.mount(b"none", b"/", None, ctypes.c_ulong(_REC_PRIVATE), None) == 0
    )


def _mount(request: dict[str, Any]) -> int:
    """Mount, remount or unmount memory as a file system: 0 or errno."""
    library = ctypes.CDLL(None, use_errno=True)
    at, options = os.fsencode(request["mount"]), request["options"]
    if options is None:
        failed = library.umount2(at, _DETACH)
    else:
        words = options.split(",")
        flags = _READ_ONLY * ("ro" in words) | _REMOUNT * ("remount" in words)
        data = ",".join(word for word in words if word not in ("ro", "rw", "remount"))
        failed = library.mount(b"none", at, b"tmpfs", ctypes.c_ulong(flags), data.encode())
    return ctypes.get_errno() if failed else 0


def serve() -> None:
    """Read requests, one a line, until stdin ends; say who was begun, and how each ended."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    _import_all()
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    say({"ready": True, "mounts": _mounts_of_its_own()})
    unread = b""
    begun: set[int] = set()
    while True:
        ready = select.select([0, ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            with contextlib.suppress(ChildProcessError):
                while True:
                    pid, status, usage = os.wait4(-1, os.WNOHANG)
                    if pid == 0:
                        break
                    begun.discard(pid)
                    code = os.waitstatus_to_exitcode(status)
                    say({"ended": pid, "code": code, "peak_bytes": usage.ru_maxrss * 1024})
        if 0 in ready:
            piece = os.read(0, 1 << 16)
            if not piece:
                for pid in begun:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                return
            *lines, unread = (unread + piece).split(b"\n")
            for line in lines:
                request = _in_this_locale(json.loads(line))
                if "mount" in request:
                    say({"errno": _mount(request)})
                    continue
                pid = os.fork()
                if pid == 0:
                    os.close(answers.fileno())
                    _child(request)
                begun.add(pid)
                say({"pid": pid})


if __name__ == "__main__":
    serve()
