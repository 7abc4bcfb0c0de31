"""A finished run as another machine left it: read and held against its own parts before it is believed."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.header import CheckpointHeader
from rescli.checkpoints.metadata import KnownFigures
from rescli.errors import VerificationError
from rescli.files import open_file, read_file
from rescli.plan import make_plan
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import MetricsRow, metrics_rows
from rescli.runs.stored_record import RunRecord, SplitResult, read_record
from rescli.spec.run import RunSpec
from rescli.stored.json_values import MOST_BYTES
from rescli.stored.tensor_file import CONTENT_KEY

__all__ = ["ForeignRun", "read_foreign_run"]

_MOST_BESIDE = 64_000_000
"""Bytes of a picture or a note that is taken along."""

_RESULTS = ("train", "val")
"""What a training measures, and its log and checkpoints tell too."""

_LAST, _BEST = "checkpoints/last.safetensors", "checkpoints/best.safetensors"
_LOG, _PACKED_LOG = "metrics.jsonl", "metrics.jsonl.gz"


@dataclass(frozen=True)
class ForeignRun:
    """A run that agrees with itself.

    Attributes:
        folder: where it lies.
        record: what its record holds; without a test error, which none of its other parts can tell.
        files: path below the run directory to the content that was checked; without the record.
        data_sha256: fingerprints of the images that it was trained on, by split.
    """

    folder: Path
    record: RunRecord
    files: Mapping[str, bytes]
    data_sha256: Mapping[str, str]

    @property
    def last(self) -> bytes:
        """The content of its last checkpoint."""
        return self.files[_LAST]


def read_foreign_run(folder: Path, spec: RunSpec) -> ForeignRun:
    """Read a run that was trained to its end, and hold its parts against each other.

    Its log may be packed as metrics.jsonl.gz; pictures, the best checkpoint and the list of test openings may
    be missing. Nothing outside of the folder is read.

    Args:
        folder: its run directory.
        spec: what its spec.toml holds.

    Raises:
        VerificationError: two parts do not agree, or one is missing.
        CheckpointError: a part is damaged.
    """
    run_dir = RunDir(folder)
    if run_dir.in_use():
        left = "; where that is over, delete .lock.held in it" if (folder / ".lock.held").exists() else ""
        raise VerificationError(f"it is in use: a process trains it, or tests it{left}")
    record = _finished_record(folder, run_dir, spec)
    files = {"spec.toml": _content(folder, "spec.toml", most=1 << 20)}
    files[_LAST] = _checked_checkpoint(folder, _LAST, "last", spec, record)
    if os.path.lexists(folder / _BEST):
        files[_BEST] = _checked_checkpoint(folder, _BEST, "best-val", spec, record)
    files[_LOG] = _log(folder)
    _check_log(metrics_rows(files[_LOG], folder / _LOG), spec, record)
    for name in ("curves.png", "test_openings.jsonl"):
        if os.path.lexists(folder / name):
            files[name] = _content(folder, name, most=_MOST_BESIDE)
    checked = record.copy()
    checked["results"] = {split: row for split, row in record["results"].items() if split in _RESULTS}
    return ForeignRun(folder, checked, files, checked["data"]["sha256"])


def _finished_record(folder: Path, run_dir: RunDir, spec: RunSpec) -> RunRecord:
    _require_inside(folder, "record.json")
    record = read_record(run_dir)
    done, status = record.get("iterations_done"), record.get("status")
    if status != "finished" or done != spec.iterations:
        raise VerificationError(
            f"it is not finished: its record says {status} at iteration {done} of {spec.iterations:,}"
        )
    if record.get("spec_sha256") != spec.fingerprint():
        raise VerificationError("its record.json is of another spec than its spec.toml")
    found = sorted(record.get("data", {}).get("sha256", {}))
    if not found:
        raise VerificationError("its record.json does not say which images it was trained on")
    wanted = ["train", "val"] if make_plan(spec).num_val else ["train"]
    if found != wanted:  # too few would not be compared, and one of test would have ours opened
        raise VerificationError(
            f"its record.json tells the images of {', '.join(found)}, where a run of its spec has those of "
            f"{', '.join(wanted)}"
        )
    return record


def _checked_checkpoint(folder: Path, name: str, selection: str, spec: RunSpec, record: RunRecord) -> bytes:
    """The content of a checkpoint that can be tested here, and belongs to the record and to the spec."""
    path = folder / name
    if not os.path.lexists(path):
        raise VerificationError(f"{name} is missing: without it the run cannot be tested here")
    _require_inside(folder, name)
    header = CheckpointHeader.read(path)
    if CONTENT_KEY not in header.metadata:
        raise VerificationError(f"{name} has no hash of its content")
    checkpoint = Checkpoint.read(path)
    same_spec = checkpoint.spec is not None and checkpoint.spec.fingerprint() == spec.fingerprint()
    if not same_spec or checkpoint.model != spec.model or checkpoint.dataset != spec.data.dataset:
        raise VerificationError(f"{name} is of another spec than spec.toml")
    checkpoint.build_model()  # no other net than the one that is wanted here, however large it says it is
    if checkpoint.selection != selection:
        raise VerificationError(f"{name} holds other weights of the run: {checkpoint.selection}")
    if selection == "last" and checkpoint.iteration != spec.iterations:
        raise VerificationError(
            f"{name} is of iteration {checkpoint.iteration:,}, not of the last one, {spec.iterations:,}"
        )
    if checkpoint.data.get("sha256") != record["data"]["sha256"]:
        raise VerificationError(f"{name} was trained on other images than record.json says")
    if extra := sorted(set(checkpoint.results) - set(_RESULTS)):
        raise VerificationError(f"{name} holds errors of {', '.join(extra)}, which no training leaves in it")
    if checkpoint.precision != record.get("precision"):  # both say what auto came to
        raise VerificationError(
            f"{name} was trained in {checkpoint.precision}, record.json says {record.get('precision')}"
        )
    if selection == "last" and _errors(checkpoint.results) != _errors(record["results"]):
        raise VerificationError(f"{name} and record.json tell other errors")
    if selection == "best-val":
        _check_best(name, checkpoint, _best_val(record))
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise VerificationError(f"{name} changed while it was read")
    return content


def _best_val(record: RunRecord) -> SplitResult:
    return (record["results"].get("val") or SplitResult()).get("best_val") or SplitResult()


def _check_best(name: str, checkpoint: Checkpoint, best: SplitResult) -> None:
    """Refuse weights that are not those of the record's best evaluation."""
    val = checkpoint.results.get("val") or KnownFigures()
    found = {(step, val.get("top1_error")) for step in (checkpoint.iteration, val.get("iteration"))}
    if found != {(best.get("iteration"), best.get("top1_error"))}:
        raise VerificationError(
            f"{name} is of iteration {checkpoint.iteration:,} with {val.get('top1_error')} % on val; the "
            f"best in record.json is of iteration {best.get('iteration')} with {best.get('top1_error')} %"
        )


def _errors(results: Mapping[str, object]) -> list[object]:
    rows = [results.get(split) for split in _RESULTS]
    return [row.get("top1_error") if isinstance(row, dict) else None for row in rows]


def _log(folder: Path) -> bytes:
    """The content of metrics.jsonl, unpacked where it is packed."""
    if os.path.lexists(folder / _LOG):
        return _content(folder, _LOG, most=MOST_BYTES)
    if not os.path.lexists(folder / _PACKED_LOG):
        raise VerificationError(f"{_LOG} is missing")
    _require_inside(folder, _PACKED_LOG)
    try:
        with open_file(folder / _PACKED_LOG) as file, gzip.GzipFile(fileobj=file) as packed:
            content = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise VerificationError(f"{_PACKED_LOG} is damaged: {error}") from error
    if len(content) > MOST_BYTES:
        raise VerificationError(f"{_PACKED_LOG} holds more than {MOST_BYTES:,} bytes")
    return content


def _check_log(rows: Sequence[MetricsRow], spec: RunSpec, record: RunRecord) -> None:
    """Refuse a log with a hole, without an end, or with another end than the record's."""
    plan = make_plan(spec)
    steps = range(1, spec.iterations + 1)
    wanted = {
        "train": [step for step in steps if plan.reads_metrics(step)],
        "val": [step for step in steps if plan.evaluates(step)],
    }
    for event, expected in wanted.items():
        found = [row["iteration"] for row in rows if row["event"] == event]
        if found != sorted(set(found)) or (found and found[-1] > spec.iterations):
            raise VerificationError(f"{_LOG} is not in order: iterations of {event} go back, or too far")
        if missing := sorted(set(expected) - set(found)):
            raise VerificationError(
                f"{_LOG} has a hole: no row of {event} at iteration {missing[0]:,} ({len(missing)} missing)"
            )
        last = [row for row in rows if row["event"] == event][-1:]
        result = record["results"].get(event)
        if last and (result is None or result.get("top1_error") != last[0]["top1_error"]):
            raise VerificationError(f"{_LOG} ends with another error of {event} than record.json has")
    told = _best_val(record)
    evaluations = [(row["top1_error"], row["iteration"]) for row in rows if row["event"] == "val"]
    if evaluations and min(evaluations) != (told.get("top1_error"), told.get("iteration")):
        raise VerificationError(f"{_LOG} has another best evaluation than record.json")


def _content(folder: Path, name: str, *, most: int) -> bytes:
    _require_inside(folder, name)
    try:
        return read_file(folder / name, most=most)
    except OSError as error:
        raise VerificationError(f"{name} cannot be read: {error.strerror or error}") from error


def _require_inside(folder: Path, name: str) -> None:
    """Refuse a link that leads out of the folder: what lies elsewhere is not part of the run."""
    if not Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(folder)):
        raise VerificationError(f"{name} is a link that leads out of the folder")
