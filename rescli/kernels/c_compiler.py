"""C compiled for the machine it runs on, kept in the user's cache and loaded by ctypes.

A compiler is all it needs, and compiling takes a fraction of a second: the source knows nothing of torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from rescli.errors import RescliError, first_line
from rescli.files import cache_dir, write_atomically

__all__ = ["NoCompiler", "compile_native", "precompile"]

_FLAGS = (
    *("-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-fopenmp"),
    # A product and a sum in one rounding, or in two: the compiler would choose, loop by loop.
    "-ffp-contract=off",
)
_SECONDS = 60
"""Until a compiler that hangs is given up; it needs half of one."""

_begun: dict[tuple[str, ...], Future[Path | bytes]] = {}
"""Libraries that are being compiled, or were and nobody has asked for them yet."""


class NoCompiler(RuntimeError):
    """There is none, or it refuses the source or its flags; the message says which, in a line."""


@cache
def compile_native(name: str, *defines: str) -> ctypes.CDLL:
    """The library of ``rescli/kernels/<name>/native.c``, compiled unless this machine has done so before.

    Threads are OpenMP's, those of torch where torch brings the same runtime.

    Args:
        defines: macros, as ``-D`` takes them.

    Raises:
        NoCompiler: see there.
    """
    begun = _begun.pop((name, *defines), None)
    compiled = begun.result() if begun is not None else _library(name, *defines)
    if isinstance(compiled, Path):
        try:
            return ctypes.CDLL(str(compiled))
        except OSError:  # a place from which no code may be run
            compiled = compiled.read_bytes()
    return _loaded(compiled)


def precompile(*libraries: tuple[str, ...]) -> None:
    """Begin to compile libraries beside whatever else is done, as the import of torch; returns at once.

    ``compile_native`` then waits for what was begun, and raises what it met. Nothing is loaded here: a
    library brings OpenMP's runtime along, and torch is to bring its own first.

    Args:
        libraries: of each the arguments of ``compile_native``.
    """
    for library in libraries:
        if library not in _begun:
            future: Future[Path | bytes] = Future()
            _begun[library] = future
            # Daemons: a command that is refused meanwhile does not wait for a compiler.
            threading.Thread(target=_fill, args=(future, library), name="rescli-cc", daemon=True).start()


def _fill(future: Future[Path | bytes], library: tuple[str, ...]) -> None:
    try:
        future.set_result(_library(*library))
    except BaseException as error:
        future.set_exception(error)


def _library(name: str, *defines: str) -> Path | bytes:
    """The compiled library in the user's cache, or its content where it cannot be kept there."""
    source = Path(__file__).with_name(name) / "native.c"
    compiler, *options = shlex.split(os.environ.get("CC") or "cc")
    found = shutil.which(compiler)
    if found is None:
        raise NoCompiler(f"there is no C compiler ({compiler})")
    command = [found, *options, *_FLAGS, *(f"-D{define}" for define in defines)]
    # What the compiler is and which processor it compiles for: a home directory may serve many machines.
    predefined = _run([*command, "-dM", "-E", "-x", "c", os.devnull])
    parts = (*command, *_texts(source.parent), predefined)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    try:
        kept = cache_dir() / "native" / f"{name}-{digest[:32]}.so"
        if not _is_whole(kept):
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            compiled = _compiled(command, source)
            write_atomically(kept, compiled + hashlib.sha256(compiled).digest())
        return kept
    except (OSError, RuntimeError, RescliError) as error:
        if isinstance(error, NoCompiler):
            raise
        # No home directory, or one that is full or read-only.
        return _compiled(command, source)


def _texts(folder: Path) -> list[str]:
    """The source and what it includes."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.[ch]"))]


def _is_whole(library: Path) -> bool:
    """Whether it ends with its own hash: to run code of which a part is missing is the end of the process."""
    if not library.exists():
        return False
    content = library.read_bytes()
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


def _compiled(command: list[str], source: Path) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as aside:
            library = Path(aside) / "library.so"
            _run([*command, str(source), "-o", str(library), "-lm"])
            return library.read_bytes()
    except OSError as error:
        raise NoCompiler(f"there is no room to compile: {first_line(error)}") from error


def _loaded(compiled: bytes) -> ctypes.CDLL:
    """Without keeping it."""
    try:
        with tempfile.TemporaryDirectory() as aside:
            library = Path(aside) / "library.so"
            library.write_bytes(compiled)
            return ctypes.CDLL(str(library))
    except OSError as error:
        raise NoCompiler(f"what the C compiler makes cannot be loaded: {first_line(error)}") from error


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompiler(f"the C compiler does not run: {first_line(error)}") from error
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr).strip()
        refused = said.partition("#error ")[2]  # by the source itself
        raise NoCompiler(refused or f"the C compiler fails: {said[:200]}")
    return done.stdout
