"""What is said where a damaged image stopped a run, or its images are others than at its beginning."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from rescli.errors import DataError, SpecError
from rescli.plurals import counted, image_of
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import DataRecord
from rescli.spec.run import RunSpec

__all__ = ["how_to_go_on", "other_images", "with_images_of_now"]

_log = logging.getLogger(__name__)

_MANY_IMAGES = 20_000

_SKIPPING = {"data.skip_damaged": True}


def how_to_go_on(
    error: DataError,
    run_dir: RunDir,
    *,
    spec: RunSpec,
    data: DataRecord,
    saved_step: int | None,
    data_root: Path | None,
) -> DataError:
    """The error of a damaged image that stopped a run, with what gets past it.

    A run goes on with the images that it began with alone: where files were changed or removed meanwhile,
    leaving out the damaged ones does not bring it any further.

    Args:
        error: what was wrong with the image.
        run_dir: the run.
        spec: what it trains; where damaged images were to be left out, there were too many.
        data: the images that it began with.
        saved_step: the iteration whose state is saved; None where none is.
        data_root: where the images lie.
    """
    if spec.data.skip_damaged:
        return error
    what_is_damaged = str(error).removesuffix(".")
    saved = f"the state of iteration {saved_step} is saved" if saved_step else "no state was saved yet"
    if not saved_step or _are_still_there(spec, data, data_root):
        return DataError(
            f"{what_is_damaged}; {saved}.",
            remedy=[
                Remedy("resume", run_dir.path, "goes on without damaged images", also=_SKIPPING),
                Remedy(
                    "train_anew",
                    run_dir.spec,
                    "anew, once it is replaced or removed",
                    also={"data_root": data_root},
                ),
            ],
        )
    what = f"{what_is_damaged}; {saved}, but the images are no longer those that the run began with."
    remedies = [Remedy("resume", run_dir.path, "goes on, once the files are back as they were")]
    with suppress(DataError, SpecError):  # where they are all gone, nothing can be trained on them
        with_images_of_now(spec, data_root)
        remedies.append(_another_run(run_dir, spec, data_root, skipping=True))
    return DataError(what, remedy=remedies)


def _are_still_there(spec: RunSpec, data: DataRecord, data_root: Path | None) -> bool:
    """Whether the images are those that a run began with, which their fingerprint tells."""
    try:
        if with_images_of_now(spec, data_root) != spec:
            return False
        if (count := sum(data["num_images"].values())) >= _MANY_IMAGES:
            _log.warning("reading the %s images once more, to see whether they were changed", f"{count:,}")
        now = spec.data.dataset.build(data_root, tuple(data["sha256"]))
    except (DataError, SpecError):
        return False
    return {split: images.fingerprint for split, images in now.items()} == data["sha256"]


def _another_run(run_dir: RunDir, spec: RunSpec, data_root: Path | None, *, skipping: bool) -> Remedy:
    also = {"data_root": data_root, **(_SKIPPING if skipping else {})}
    # Where val is drawn out of train, it would be drawn anew, of images that the weights have seen.
    if getattr(spec.data.dataset, "held_out", False):
        return Remedy("train_anew", run_dir.spec, "begins anew on these", also=also)
    return Remedy("train_on", run_dir.path, "a new run, with its weights", also=also)


def with_images_of_now(spec: RunSpec, data_root: Path | None) -> RunSpec:
    """The spec with the images counted anew, where their classes are still the same.

    Raises:
        DataError: they are not there.
    """
    now = spec.resolved(data_root)
    return now if now.data.dataset.class_names == spec.data.dataset.class_names else spec


def _changed(spec: RunSpec, now: RunSpec) -> str:
    before, after = spec.data.dataset.sizes, now.data.dataset.sizes
    counts = [
        f"{counted(after.get(split, 0), image_of(split))} in place of {before.get(split, 0)}"
        for split in before
        if after.get(split, 0) != before.get(split, 0)
    ]
    return ", ".join(counts) or "they lie in other splits"


def other_images(
    run_dir: RunDir, spec: RunSpec, data_root: Path | None, *, now: RunSpec | None = None
) -> DataError:
    """The error where the images are not those that a run began with, and what can be done.

    Args:
        run_dir: the run.
        spec: what it trains.
        data_root: where the images lie.
        now: the spec with the images as they are counted now; None where their numbers are the same.
    """
    anew = _another_run(run_dir, spec, data_root, skipping=bool(spec.data.skip_damaged))
    what = "their fingerprints differ" if now is None else _changed(spec, now)
    return DataError(
        f"the images are not those that {run_dir.path} was trained on: {what}.",
        remedy=[Remedy("data_root", "DIR", "the data it began with"), anew],
        page="resume-refused",
    )
