"""Finished runs of another machine, taken among those that a table or figure needs here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rescli.errors import CheckpointError, DataError, RescliError, RunDirError, VerificationError
from rescli.files import fsync_path, read_file, write_atomically, write_json, writing
from rescli.hardware.disk.staging import staged_beside
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.record import now
from rescli.runs.resuming.state_pointer import saved_step
from rescli.runs.saved_state import differing_keys
from rescli.runs.stored_record import ImportedRecord, ImportOrigin, read_record
from rescli.spec.run import RunSpec
from rescli.studies.evidence.foreign_run import ForeignRun, read_foreign_run
from rescli.studies.evidence.outcome import IncomingRun
from rescli.studies.paper_items import PaperNet
from rescli.studies.queued_run import QueuedRun

__all__ = ["take_runs"]

_PARTS = ("spec.toml", "record.json", "checkpoints")
"""Any of them makes a folder the directory of a run."""

_MOST_NAMED = 4


def take_runs(
    folders: Sequence[Path],
    runs: Path,
    specs: Mapping[PaperNet, Sequence[RunSpec]],
    *,
    data_root: Path | None,
    tell: Callable[[IncomingRun], None] = lambda _: None,
) -> list[IncomingRun]:
    """Check each run in the folders, and copy what is needed and whole. One that is refused ends no other.

    Args:
        folders: run directories, or folders of them.
        runs: where run directories lie here.
        specs: what is needed, one a seed of each net.
        data_root: where our images lie; a run on others is refused. Where there are none, nobody compares.
        tell: told of each run in turn.

    Raises:
        RunDirError: a folder is not there, or holds no run; nothing was taken then.
    """
    found = [(path, path == folder) for folder in folders for path in _runs_in(folder)]
    ours = _OurImages(data_root)
    results = []
    for path, named in found:
        result = _take(path, runs, specs, ours)
        if named and result.outcome == "not needed" and result.run is None:  # somebody asked for this one
            result = IncomingRun(path, "refused", reason=result.reason, remedy=result.remedy)
        tell(result)
        results.append(result)
    return results


def _runs_in(folder: Path) -> list[Path]:
    try:
        if _is_run(folder):
            return [folder]
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        found = [path for path in inside if path.is_dir() and _is_run(path)]
    except OSError as error:
        raise RunDirError(f"{folder} cannot be read: {error.strerror or error}.") from error
    if not found:
        raise RunDirError(
            f"{folder} holds no run.",
            hint="name a run directory, or a folder of them, as it was copied from the other machine",
        )
    return found


def _is_run(folder: Path) -> bool:
    return any((folder / part).exists() for part in _PARTS)


def _take(
    folder: Path, runs: Path, specs: Mapping[PaperNet, Sequence[RunSpec]], ours: _OurImages
) -> IncomingRun:
    net, run = None, None
    try:
        spec = RunDir(folder).read_spec()
        net = next((net for net, group in specs.items() if _is_among(spec, group)), None)
        if net is None:
            return _not_needed(folder, spec, specs)
        run = QueuedRun.below(runs, spec)
        finished = run.status == "finished"
        if not finished:
            _require_free(run)
        foreign = read_foreign_run(folder, spec)
        note = ours.compare(spec, foreign.data_sha256)
        if finished:
            return _beside_a_finished_one(foreign, net, run)
        _copy(foreign, run.path)
    except (RescliError, OSError) as error:
        path = run.path if run else None
        return IncomingRun(folder, "refused", path, net.label if net else None, str(error).removesuffix("."))
    return IncomingRun(folder, "taken", run.path, net.label, note=note)


def _is_among(spec: RunSpec, group: Sequence[RunSpec]) -> bool:
    return any(spec.fingerprint() == one.fingerprint() for one in group)


def _not_needed(folder: Path, spec: RunSpec, specs: Mapping[PaperNet, Sequence[RunSpec]]) -> IncomingRun:
    """What is of no net, or of another seed, is left; a net with another recipe is refused with its keys."""
    same_net = [
        (net, one)
        for net, group in specs.items()
        for one in group
        if one.model == spec.model and one.data.dataset == spec.data.dataset
    ]
    if not same_net:
        why = f"{spec.model.name} on {spec.data.dataset.kind} is none of the nets that are wanted"
        return IncomingRun(folder, "not needed", reason=why)
    given = spec.to_dict()
    net, near = min(same_net, key=lambda pair: len(differing_keys(given, pair[1].to_dict())))
    keys = differing_keys(given, near.to_dict())
    if keys == ["seed"]:
        seeds = ", ".join(str(one.seed) for _, one in same_net)
        return IncomingRun(
            folder, "not needed", net=net.label, reason=f"seed {spec.seed} is not among those wanted: {seeds}"
        )
    differ = [f"{key} is {_value(given, key)}, wanted {_value(near.to_dict(), key)}" for key in keys]
    more = f", and {len(differ) - _MOST_NAMED} more" if len(differ) > _MOST_NAMED else ""
    why = f"its spec is not that of {net.label}: {', '.join(differ[:_MOST_NAMED])}{more}"
    wanted_so = Remedy("precision", spec.precision, "for all runs: then it is wanted")
    remedy = wanted_so if keys == ["precision"] else None
    return IncomingRun(folder, "refused", net=net.label, reason=why, remedy=remedy)


def _value(table: Mapping[str, Any], dotted: str) -> Any:
    value: Any = table
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return "unset" if value is None else value


def _beside_a_finished_one(foreign: ForeignRun, net: PaperNet, run: QueuedRun) -> IncomingRun:
    here = RunDir(run.path)
    try:
        same = read_file(here.last) == foreign.last
    except OSError as error:
        raise CheckpointError(f"{here.last} cannot be read: {error.strerror or error}") from error
    if same:
        return IncomingRun(foreign.folder, "here already", run.path, net.label)
    records = (read_record(here), foreign.record)
    ours, theirs = (record.get("device", "a device unknown") for record in records)
    why = f"finished here, with other weights: here on {ours}, there on {theirs}"
    return IncomingRun(foreign.folder, "not needed", run.path, net.label, reason=why)


def _require_free(run: QueuedRun) -> None:
    if run.status == "begun":
        step = saved_step(RunDir(run.path)) or 0
        raise RunDirError(f"{run.path} is begun here, at iteration {step:,}, and is not overwritten")
    if os.path.lexists(run.path) and not (run.path.is_dir() and not any(run.path.iterdir())):
        raise RunDirError(f"{run.path} is something else, and is not overwritten")


def _copy(foreign: ForeignRun, target: Path) -> None:
    """Make the whole directory beside its place, and give it its name when it is on the disk.

    Raises:
        CheckpointError: there is no room, or something came to stand there meanwhile.
    """
    record = foreign.record.copy()
    record["imported"] = _imported(foreign)
    with writing(target, error=CheckpointError, left="nothing of it was left", reads=[foreign.folder]):
        target.parent.mkdir(parents=True, exist_ok=True)
        with staged_beside(target) as staging:
            for name, content in foreign.files.items():
                write_atomically(staging / name, content, error=CheckpointError)
            write_json(staging / "record.json", record, error=CheckpointError)
            fsync_path(staging)
            staging.rename(target)
            fsync_path(target.parent)


def _imported(foreign: ForeignRun) -> ImportedRecord:
    found: ImportedRecord = {"folder": str(foreign.folder), "date": now()}
    if before := foreign.record.get("imported"):
        last: ImportOrigin = {"folder": before["folder"], "date": before["date"]}
        found["earlier"] = [*before.get("earlier", []), last]
    return found


class _OurImages:
    """The fingerprints of the images here, each set read once."""

    def __init__(self, data_root: Path | None) -> None:
        self._data_root = data_root
        self._known: dict[str, Mapping[str, str] | str] = {}

    def compare(self, spec: RunSpec, theirs: Mapping[str, str]) -> str | None:
        """What was not compared, in words; None where all images are ours.

        Raises:
            VerificationError: the run was trained on other images.
        """
        splits = tuple(sorted(theirs))
        key = f"{spec.data.dataset.model_dump_json()} {splits}"
        if key not in self._known:
            self._known[key] = self._read(spec, splits)
        ours = self._known[key]
        if isinstance(ours, str):
            return f"its images were not compared: {ours}"
        if other := [split for split in splits if ours.get(split) != theirs[split]]:
            raise VerificationError(f"it was trained on other images than those here: {', '.join(other)}")
        return None

    def _read(self, spec: RunSpec, splits: tuple[str, ...]) -> Mapping[str, str] | str:
        dataset = spec.data.dataset
        if dataset.would_download(self._data_root):
            return f"{dataset.kind} is not here"
        try:
            built = dataset.build(self._data_root, splits)
        except DataError as error:
            return str(error).removesuffix(".")
        return {split: images.fingerprint for split, images in built.items()}
