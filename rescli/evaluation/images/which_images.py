"""Which images a net is evaluated on: the part of the set, and the folder whose classes are others now."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from rescli.data.folders.read import folder_classes, folder_counts
from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import CheckpointError, DataError, UsageError
from rescli.plurals import image_of, plural
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec

__all__ = ["choose_split", "folder_as_it_is", "other_images", "say_where_trained"]

_log = logging.getLogger(__name__)

_TEST_FIRST = ("test", "val")
"""The splits in order of preference where nobody says else: a set's last resort is its first part."""


_OF_ITS_OWN = dict.fromkeys(("train_folder", "val_folder", "test_folder", "labels"))
_UNDIVIDED = dict.fromkeys(("num_train", "num_val", "held_out"))
_UNFILLED = {"classes": None, **_UNDIVIDED}
"""Keys of a folder's spec: what was said of the one folder, and what was found in it."""


def choose_split(
    asked: str | Sequence[str] | None, dataset: DatasetSpec, root: Path | None, *, run: str | None
) -> str:
    """The part of the set that is evaluated: the first that it has of those that were asked for.

    Args:
        asked: one or several; None for test, val, or else the first part there is.
        dataset: the set.
        root: where it lies.
        run: the net whose run the set is; None where it is another set.

    Raises:
        CheckpointError: the run held no validation images out.
        DataError: the folder has none of those parts.
        UsageError: a set that is the same everywhere has none of them.
    """
    there = dataset.splits(root)
    wanted = _TEST_FIRST if asked is None else (asked,) if isinstance(asked, str) else tuple(asked)
    found = [split for split in wanted if split in there] or list(there[:1] if asked is None else ())
    if found:
        return found[0]
    remedies = [Remedy("split", split) for split in there]
    if run is not None and "val" in wanted and "train" in there:
        raise CheckpointError(f"the run of {run} set no images aside for val.", remedy=remedies)
    # Of a folder it is the data that lacks, of another set the name that is none.
    kind = DataError if dataset.any_size else UsageError
    raise kind(
        f"{dataset.kind} has no images for {' or '.join(wanted)}; it has {', '.join(there) or 'none'}.",
        remedy=remedies,
        page="no-images-where-they-are-looked-for",
    )


def folder_as_it_is(
    dataset: DatasetSpec, root: Path | None, *, net: str, chosen: bool
) -> ImageFolderSpec | None:
    """The set of a run's folder whose classes are not those of the run; None where they are the same.

    A folder that was named, and has nothing of what the run's own was said to have, is taken as it is: only
    which classes to leave out, how images are turned and how large they are is as in the run.

    Args:
        dataset: the run's own.
        root: where it lies; None for RESCLI_DATA.
        net: the name of the net.
        chosen: whether the folder was named for this evaluation. If not, the run's own folder was changed.

    Returns:
        A set whose classes are to be found among the net's by their names.

    Raises:
        DataError: there is no such folder, or it was changed.
    """
    place = root or os.environ.get("RESCLI_DATA")
    if not isinstance(dataset, ImageFolderSpec) or dataset.classes is None or not place:
        return None
    known, path = dataset.classes, Path(place).expanduser()
    try:
        found = folder_classes(path, dataset.wanted)
    except DataError:
        if not chosen:
            raise
        found = ()
    if found == known:
        return dataset.model_copy(update=_UNDIVIDED) if chosen and _is_another(dataset, path) else None
    if chosen and not {*found} & {*known}:
        # What was said of the run's own folder, its parts and its labels, need not be so in another.
        dataset = dataset.model_copy(update=_OF_ITS_OWN)
        found = folder_classes(path, dataset.wanted)
    gone, new = sorted(set(known) - set(found)), sorted(set(found) - set(known))
    if (gone or new) and not chosen:
        others = [f"{', '.join(names)} {what}" for names, what in ((gone, "gone"), (new, "new")) if names]
        raise DataError(
            f"{place} does not have the classes that {net} was trained on: {'; '.join(others)}.",
            hint="give their folders the names again that they had"
            if new
            else "the classes there, found by their names",
            remedy=() if new else Remedy("data_root", place),
            page="the-classes-are-others",
        )
    if gone and not new:
        _log.warning(
            "%s has %d of the net's %d classes, found by their names: scored among all of the net's, "
            "and among these",
            place,
            len(found),
            len(known),
        )
    return dataset.model_copy(update=_UNFILLED)


def _is_another(dataset: ImageFolderSpec, place: Path) -> bool:
    """Whether a folder has not the images that the run divided: nothing is held out of it then."""
    if not dataset.held_out:
        return False
    counts = folder_counts(place, dataset.wanted)
    whole = counts.get("train", counts.get("all"))
    return whole != (dataset.num_train or 0) + (dataset.num_val or 0)


def other_images(net: str, split: str, dataset: DatasetSpec, root: Path | None) -> DataError:
    """What to raise where the images are not those that the run of a net had."""
    message = f"the {plural(image_of(split))} are not those of the run of {net}: their fingerprints differ."
    if not isinstance(dataset, ImageFolderSpec):
        return DataError(message)
    own = Remedy("dataset", dataset.kind, "as a set of its own", also={"data_root": root})
    return DataError(message, remedy=own)


def say_where_trained(net: str, own_root: Path | None, root: Path | None) -> None:
    """Warn where all images of the folder that a net was trained on are taken for a set of its own.

    Args:
        net: the name of the net.
        own_root: the folder of its run; None where nobody knows.
        root: where the images lie.
    """
    if own_root is not None and root is not None and own_root.resolve() == root.resolve():
        _log.warning("%s was trained on images of %s: its error there says little of others", net, root)
