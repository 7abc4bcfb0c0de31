"""``doctor``: what this machine has, what of it is used, and what is wrong with it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rescli.bench.other_load import OtherLoadWatch
from rescli.diagnosis.environment import look_at_environment, look_at_leftovers, look_at_load
from rescli.diagnosis.findings import Finding, Part, looked_at
from rescli.diagnosis.memory import look_at_memory, look_at_shared_memory
from rescli.diagnosis.place import look_at_place, look_at_working_folders
from rescli.diagnosis.processor import look_at_processor
from rescli.diagnosis.software import look_at_software
from rescli.diagnosis.speed import expected_speed
from rescli.errors import first_line
from rescli.workflows.notes import with_notes
from rescli.workflows.results.checkup import Checkup
from rescli.workflows.running.torch_import import importing_torch

__all__ = ["doctor"]

_RUNS = Path("runs")


@with_notes
def doctor(
    out: str | os.PathLike[str] | None = None, *, data_root: str | os.PathLike[str] | None = None
) -> Checkup:
    """Look at this machine: software, processor and GPU, threads, memory, data, disk, locks, load.

    Nothing is changed, but for a file or two that are written where runs are to lie and taken away again, and
    the kernels that any training would compile. A problem is what makes a training fail, or its results
    wrong; what only makes it slower is a note.

    Args:
        out: where runs are to lie; None for ``runs`` below the working directory.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.

    Returns:
        What was found, problems included: nothing is raised for those.

    Example:
        >>> import rescli
        >>> checkup = rescli.doctor()
        >>> [part.name for part in checkup.parts][:3]
        ['versions', 'processor', 'gpu']
    """
    began = time.monotonic()
    place = Path(out) if out is not None else _RUNS
    root = Path(data_root) if data_root is not None else None
    watch = OtherLoadWatch()
    with suppress(Exception):  # then there is nothing to say of it
        watch.begin()
    parts = {
        part.name: part
        for part in (
            looked_at("versions", look_at_software),
            looked_at("processor", look_at_processor),
            *_of_torch(),
            looked_at("memory", look_at_memory),
            looked_at("shared memory", look_at_shared_memory),
            looked_at("data", lambda: _data(root)),
            looked_at("photographs", _decoding),
            looked_at("run directory", lambda: look_at_place(place)),
            looked_at("working folders", look_at_working_folders),
            looked_at("left-overs", lambda: look_at_leftovers(_folders(place))),
            looked_at("environment", look_at_environment),
            looked_at("other load", lambda: look_at_load(watch)),
        )
    }
    speed = looked_at("speed", lambda: expected_speed(parts))
    return Checkup((*parts.values(), speed), time.monotonic() - began)


def _of_torch() -> list[Part]:
    """The parts that ask torch; where it cannot be imported, that is the problem."""
    try:
        with importing_torch():
            from rescli.diagnosis.devices import look_at_gpus, look_at_threads, look_at_use
    except Exception as error:  # a library that is missing, or too little memory to load it
        text = f"torch cannot be imported: {type(error).__name__}: {first_line(error)}"
        hint = "install torch again, or let the process use more memory (ulimit -v)"
        unknown = (Finding("note", "not known without torch"),)
        broken = (Finding("problem", text, hint=hint),)
        return [Part("gpu", unknown), Part("use", broken), Part("threads", unknown)]
    return [
        looked_at("gpu", look_at_gpus),
        looked_at("use", look_at_use),
        looked_at("threads", look_at_threads),
    ]


def _data(root: Path | None) -> Part:
    from rescli.diagnosis.images import look_at_data

    return look_at_data(root)


def _decoding() -> Part:
    from rescli.diagnosis.images import look_at_decoding

    return look_at_decoding()


def _folders(place: Path) -> dict[str, Path]:
    folders = {str(place): place}
    with suppress(OSError):
        folders["the folder for temporary files"] = Path(tempfile.gettempdir())
    return folders
