"""What is said where a damaged image stopped a run, or its images are others than at its beginning."""

from __future__ import annotations

from pathlib import Path

from rescli.errors import DataError
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.spec.run import RunSpec

__all__ = ["how_to_go_on", "other_images", "with_images_of_now"]


def how_to_go_on(
    error: DataError,
    run_dir: RunDir,
    *,
    skipping: bool,
    saved_step: int | None,
    data_root: Path | None,
) -> DataError:
    """The error of a damaged image that stopped a run, with what gets past it.

    Args:
        error: what was wrong with the image.
        run_dir: the run.
        skipping: whether damaged images were to be left out, and there were too many.
        saved_step: the iteration whose state is saved; None where none is.
        data_root: where the images lie.
    """
    if skipping:
        return error
    saved = f"the state of iteration {saved_step} is saved" if saved_step else "no state was saved yet"
    return DataError(
        f"{error}; {saved}.",
        remedy=[
            Remedy("resume_skipping", run_dir.path, "goes on without damaged images"),
            Remedy("train_anew", run_dir.spec, "anew, once it is replaced or removed", data_root=data_root),
        ],
    )


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
        f"{after.get(split, 0)} {split} images in place of {before.get(split, 0)}"
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
    # Where val is drawn out of train, it would be drawn anew, of images that the weights have seen.
    held_out = getattr(spec.data.dataset, "held_out", False)
    anew = (
        Remedy("train_anew", run_dir.spec, "begins anew on these", data_root=data_root)
        if held_out
        else Remedy("train_on", run_dir.path, "a new run, with its weights", data_root=data_root)
    )
    what = "their fingerprints differ" if now is None else _changed(spec, now)
    return DataError(
        f"the images are not those that {run_dir.path} was trained on: {what}.",
        remedy=[Remedy("data_root", "DIR", "the data it began with"), anew],
    )
