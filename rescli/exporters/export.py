"""From a checkpoint to a file that was checked before it got its name."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypedDict

from rescli.errors import CheckpointError, UsageError
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.description import Description
from rescli.exporters.parity.check import ExportCheck, check_export
from rescli.exporters.parity.sample import Sample
from rescli.files import fsync_path, remove, what_is_left
from rescli.foreign_text import shell_path
from rescli.hardware.disk.staging import staged_beside
from rescli.installation import install_command
from rescli.remedy import Remedy
from rescli.spec.base import ModelSpec

__all__ = ["ExportFacts", "Written", "export", "require_fit"]


class Written(TypedDict):
    """What came of an export, as JSON values."""

    files: list[str]
    bytes: int
    facts: FormatFacts
    check: ExportCheck


class ExportFacts(Description, Written):
    """What ``rescli export`` prints as one JSON object."""

    format: str
    checkpoint_file: str


def require_fit(exporter: Exporter, model: ModelSpec, options: Options) -> None:
    """Refuse what cannot come to anything, before any work.

    Raises:
        UsageError: the format lacks the precision, the preprocessing, or the network; or a package is absent.
    """
    if reason := exporter.unfit(model, options):
        raise UsageError(f"the format {exporter.kind}: {reason}")
    if options.precision not in exporter.precisions:
        raise UsageError(
            f"the format {exporter.kind} has {', '.join(exporter.precisions)}, not {options.precision}.",
            remedy=Remedy("format", "onnx", "for int8") if options.precision == "int8" else (),
        )
    if options.with_preprocessing and not exporter.is_graph:
        raise UsageError(
            f"the format {exporter.kind} holds weights and no computation, so no preprocessing either.",
            remedy=[Remedy("format", "onnx"), Remedy("format", "torch-export")],
        )
    _require_settings(exporter, options)
    absent = [name for name in exporter.needed(model) if importlib.util.find_spec(name) is None]
    if absent:
        raise UsageError(
            f"the format {exporter.kind} needs {', '.join(absent)} to write and to check the file.",
            hint=install_command(exporter.extra) if exporter.extra else f"pip install {' '.join(absent)}",
            page="an-extra-is-missing",
        )


_WORDED = {
    "opset": "operator set",
    "batch_size": "batch size",
    "input_name": "name of an input",
    "output_name": "name of an output",
}
"""Settings that not every format has, in words."""


def _require_settings(exporter: Exporter, options: Options) -> None:
    for setting, words in _WORDED.items():
        if setting in exporter.settings or getattr(options, setting) == getattr(Options(), setting):
            continue
        what = "" if exporter.is_graph else " weights and no computation, so"
        raise UsageError(
            f"the format {exporter.kind} has{what} no {words} to choose.",
            remedy=Remedy("format", "onnx", f"for {'an' if words[0] in 'aeiou' else 'a'} {words}"),
        )
    if options.input_name == options.output_name or not (options.input_name and options.output_name):
        raise UsageError(
            f"input and output need two names; they are {options.input_name!r} and {options.output_name!r}."
        )


def export(exporter: Exporter, subject: Subject, out: Path, sample: Sample) -> Written:
    """Write, check, and only then give ``out`` its name.

    Raises:
        VerificationError: the check failed; nothing is left.
        CheckpointError: the disk is full or not writable; nothing is left.
        UsageError: something stands at ``out`` or beside, or the network cannot be written so.
    """
    missing = [folder for folder in out.absolute().parents if not folder.exists()]
    with ExitStack() as held:
        held.callback(_remove_empty, missing)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with staged_beside(out) as staging:
                facts = exporter.write(subject, staging / out.name)
                report = check_export(exporter, subject, staging / out.name, sample)
                size = sum(file.stat().st_size for file in staging.rglob("*") if file.is_file())
                files = _give_names(staging, out)
        except OSError as error:
            raise _unwritable(out, missing, error) from error
    return {"files": [str(file) for file in files], "bytes": size, "facts": facts, "check": report}


def _give_names(staging: Path, out: Path) -> list[Path]:
    """Rename out of the staging folder, ``out`` itself last: where it stands, all of it stands."""
    others = sorted(entry for entry in staging.iterdir() if entry.name != out.name)
    made = [staging / out.name, *others]
    for entry in made:
        if os.path.lexists(out.parent / entry.name):
            raise UsageError(
                f"{out.parent / entry.name} exists and is not overwritten.",
                remedy=Remedy("out", "PATH", "names another place"),
            )
        for file in (entry, *entry.rglob("*")):
            fsync_path(file)
    named: list[Path] = []
    try:
        for entry in reversed(made):
            entry.rename(out.parent / entry.name)
            named.append(out.parent / entry.name)
        fsync_path(out.parent)
    except OSError:
        for path in named:
            remove(path)
        raise
    return named[::-1]


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, inner ones first, as far as nothing lies in them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _unwritable(out: Path, missing: Sequence[Path], error: OSError) -> CheckpointError:
    there = next(folder for folder in out.absolute().parents if folder not in missing)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return CheckpointError(
        f"cannot write {out}: {error.strerror or error}; {what_is_left(out, 'nothing was left there')}.",
        hint=f"make room (df -h {shell_path(there)}), or name another place" if full else None,
        remedy=Remedy("out", "PATH", "" if full else "names another place"),
        page="disk-full-read-only-or-failing",
    )
