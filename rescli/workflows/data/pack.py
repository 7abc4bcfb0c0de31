"""A folder of photographs as a few large files that load faster."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.data.folders.survey import Survey
from rescli.errors import CheckpointError, DataError, UsageError, first_names
from rescli.files import require_nameable, writing
from rescli.hardware.disk.staging import staged_beside
from rescli.hardware.threads.cores import usable_cores
from rescli.remedy import Remedy
from rescli.spec.data_root import given_root
from rescli.spec.photos import ORIENTATIONS, Orientation, PhotoSetSpec
from rescli.workflows.arguments import check_count, check_name
from rescli.workflows.data.split_progress import SplitProgress, unseen, within_split
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.data.photos.image_files import ImageFiles

__all__ = ["Pack", "pack"]

_TRAINED_ON = ("train", "all")


@dataclass(frozen=True)
class Pack:
    """A folder of packed photographs.

    Args:
        root: the folder; it is a data root from then on.
        num_images: split to its number of images.
        num_bytes: size of all its files.
        skipped: damaged images that were left out, by split and name, with the reason.
    """

    root: Path
    num_images: dict[str, int]
    num_bytes: int
    skipped: Mapping[str, str] = field(default_factory=dict)


@with_notes
def pack(
    name: str,
    out: str | os.PathLike[str],
    data_root: str | os.PathLike[str] | None = None,
    *,
    short_side: int = 480,
    quality: int = 90,
    orientation: Orientation | None = None,
    changes: Mapping[str, object] | None = None,
    skip_damaged: bool = False,
    progress: SplitProgress = unseen,
    on_survey: Callable[[Survey], None] = lambda _survey: None,
) -> Pack:
    """Pack the photographs of a data set into one file for each split.

    Args:
        name: ``imagefolder`` or ``imagenet``, or a plugin's set of photographs.
        out: the folder to make; it must not exist.
        data_root: where the photographs lie; None for RESCLI_DATA.
        short_side: pixels to which the shorter side of larger images is reduced. 480 keeps what the paper's
            augmentation can show; 256 loads fastest and trains on less detail.
        quality: JPEG quality, 1 to 100, of an image that is reduced.
        orientation: ``stored``, or ``upright`` for images turned as their files say; None for stored, or what
            ``changes`` say. A run on the packed
            images has to ask for the same, by its key ``data.dataset.orientation``.
        changes: keys of the data set, ``{"data.dataset.labels": "names"}``.
        skip_damaged: leave out images that cannot be decoded.
        progress: called with a split, the number of its images done, and how many it has: None while it is
            being read.
        on_survey: called with what the folder holds, before anything in it is refused.

    Raises:
        UsageError: ``out`` exists, or the set has no photographs.
        DataError: images missing or damaged; nothing is left.
        CheckpointError: the folder cannot be written; nothing is left.

    Example:
        >>> from PIL import Image
        >>> for name in ("cat", "dog"):
        ...     Path("photos", "train", name).mkdir(parents=True)
        ...     Image.new("RGB", (600, 500)).save(Path("photos", "train", name, "1.jpg"))
        >>> made = pack("imagefolder", "packed", "photos", short_side=256)
        >>> made.root.name, made.num_images
        ('packed', {'train': 2})
    """
    check_count("short_side", short_side, least=32)
    check_count("quality", quality, least=1, most=100)
    check_name("orientation", orientation, ORIENTATIONS)
    out, root = Path(out), None if data_root is None else Path(data_root)
    require_nameable(out)
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is not overwritten.", hint="name another folder")

    from rescli.data.photos.image_files import ImageFiles
    from rescli.data.photos.pack_index import write_index
    from rescli.data.photos.packed import write_packed_split
    from rescli.data.photos.probe import require_whole
    from rescli.spec.from_names import named_dataset

    dataset = named_dataset(name, changes)
    if not dataset.any_size:
        raise UsageError(f"{name} has images of one size in memory; there is nothing to pack.")
    if isinstance(dataset, PhotoSetSpec) and orientation is not None:
        dataset = dataset.model_copy(update={"orientation": orientation})
    survey = dataset.survey(root)
    if survey is not None:
        on_survey(survey)
    if survey is not None and {"train", "all"} & {*survey.counts}:
        # What no net can be trained on is refused here, and a pack has the classes that training would have.
        survey.require_trainable()
        dataset = dataset.model_copy(update={"classes": survey.class_names})
    images: dict[str, ImageFiles] = {}
    way_out = _ways_past(name, root, changes)
    for split in dataset.splits(root):
        progress(split, 0, None)
        files = dataset.build(root, (split,))[split]
        assert isinstance(files, ImageFiles)
        images[split] = files
        if not skip_damaged:
            # What is known to be damaged is said before an hour of writing.
            require_whole(files, split, decode=False, most=len(files), remedy=way_out)
    counts: dict[str, int] = {}
    skipped: dict[str, str] = {}
    class_names: tuple[str, ...] = ()
    roots = [files.root for files in images.values()]
    with writing(out, error=CheckpointError, left="nothing was left", reads=roots):
        out.parent.mkdir(parents=True, exist_ok=True)
        with staged_beside(out) as staging:
            for split, files in images.items():
                damaged: dict[str, str] = {}
                try:
                    counts[split] = write_packed_split(
                        files,
                        staging,
                        split,
                        short_side=short_side,
                        quality=quality,
                        threads=usable_cores(),
                        skipped=damaged if skip_damaged else None,
                        progress=within_split(progress, split, len(files)),
                    )
                except DataError as error:
                    if skip_damaged:
                        raise
                    raise DataError(
                        f"{str(error).removesuffix('.')}. Nothing was left.",
                        hint="replace or remove the file; or to go on without such files",
                        remedy=way_out,
                    ) from error
                if split in _TRAINED_ON:
                    _require_classes(files, damaged, can_exclude=name == "imagefolder")
                skipped |= {f"{split} {file}": why for file, why in damaged.items()}
                class_names = files.class_names
            write_index(staging, class_names, counts)
            staging.rename(out)
    return Pack(out, counts, sum(file.stat().st_size for file in out.iterdir()), skipped)


def _require_classes(files: ImageFiles, damaged: Container[str], *, can_exclude: bool) -> None:
    """Refuse that a class loses all its training images: of a pack nobody looks for that again."""
    labels = files.labels_N.tolist()
    whole = {label for label, file in zip(labels, files.file_names, strict=True) if file not in damaged}
    if lost := tuple(files.class_names[label] for label in sorted({*labels} - whole)):
        raise DataError(
            f"no training image of {first_names(lost)} can be decoded. Nothing was left.",
            hint="replace them" + "; or to go on without the class" * can_exclude,
            remedy=Remedy("data.dataset.exclude", lost) if can_exclude else (),
            page="damaged-photographs",
        )


def _ways_past(name: str, root: Path | None, changes: Mapping[str, object] | None) -> list[Remedy]:
    """What packs a folder, some of whose images are damaged."""
    ways = [Remedy("skip_damaged")]
    if name == "imagefolder" and not changes:  # else it would take the changes to do the same
        note = "makes a folder of the whole ones"
        ways.append(Remedy("tidy", given_root(root), note))
    return ways
