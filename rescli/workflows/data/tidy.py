"""A sound tree of class folders made of a folder of photographs that is laid out in another way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rescli.data.folders.tidy import Tidied
from rescli.errors import CheckpointError, DataError, UsageError
from rescli.files import require_nameable, writing
from rescli.hardware.disk.staging import staged_beside
from rescli.hardware.threads.cores import usable_cores
from rescli.workflows.notes import with_notes

__all__ = ["tidy"]


@with_notes
def tidy(
    out: str | os.PathLike[str],
    data_root: str | os.PathLike[str] | None = None,
    *,
    changes: Mapping[str, object] | None = None,
    copy: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tidied:
    """Link the photographs of a folder into OUT/SPLIT/CLASS, and leave out what is none.

    Splits get their usual names, images labelled by a table or by their names go into class folders, and
    damaged images, other files, empty classes and classes that train lacks are left out. The folder itself is
    not changed.

    Args:
        out: the folder to make; it must not exist.
        data_root: where the photographs lie; None for RESCLI_DATA.
        changes: keys of the data set, ``{"data.dataset.labels": "names"}``.
        copy: copy the files; else links to them are made.
        progress: called with the number of images looked at, and of all.

    Raises:
        UsageError: ``out`` exists, or lies in the folder itself.
        DataError: images missing, without classes, or with folders for classes that a setting says to be
            something else; nothing is left.
        CheckpointError: the folder cannot be written; nothing is left.

    Example:
        >>> from PIL import Image
        >>> Path("flat").mkdir()
        >>> for name in ("cat.1", "cat.2", "dog.1"):
        ...     Image.new("RGB", (60, 50)).save(f"flat/{name}.jpg")
        >>> made = tidy("sound", "flat", changes={"data.dataset.labels": "names"})
        >>> sorted(os.listdir(made.root)), made.tidying.num_images
        (['cat', 'dog'], {'all': 3})
    """
    out = Path(out)
    require_nameable(out)
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is not overwritten.", hint="name another folder")

    from rescli.data.folders.specs import ImageFolderSpec
    from rescli.data.folders.tidy import plan_tidy, write_tidy
    from rescli.spec.data_root import given_root
    from rescli.spec.from_names import named_dataset

    dataset = named_dataset("imagefolder", changes)
    assert isinstance(dataset, ImageFolderSpec), "it is rescli's own"
    root = given_root(None if data_root is None else Path(data_root))
    if root.resolve() in out.resolve().parents:
        raise UsageError(
            f"{out} lies in {root}, whose folders it would be one of.", hint="name a folder elsewhere"
        )
    planned = plan_tidy(
        root,
        dataset.wanted,
        threads=usable_cores(),
        progress=progress,
    )
    if not planned.links:
        raise DataError("no image in that folder belongs to a class.", page="folder-layout-not-understood")
    with writing(out, error=CheckpointError, left="nothing was left", reads=[root]):
        out.parent.mkdir(parents=True, exist_ok=True)
        with staged_beside(out) as staging:
            write_tidy(planned, staging, copy=copy)
            staging.rename(out)
    return Tidied(out, planned)
