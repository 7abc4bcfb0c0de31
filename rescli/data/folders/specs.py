"""The spec of a folder of photographs. Torch is imported in ``build``, not before."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from rescli.errors import DataError, SpecError
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.data_root import given_root
from rescli.spec.photos import PhotoSetSpec
from rescli.spec.units import Images

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescli.data.folders.layout import FolderOptions
    from rescli.data.folders.survey import Survey
    from rescli.data.photos.image_files import ImageFiles

__all__ = ["ImageFolderSpec"]


class ImageFolderSpec(PhotoSetSpec):
    """Any folder of class folders: ROOT/train/CLASS/*.jpg and ROOT/val/CLASS/*.jpg, or ROOT/CLASS/*.jpg.

    Where a folder has no val, some of its training images are held out. What the folder holds is filled in by
    ``resolved`` before a training, so that the spec says it all.
    """

    kind: Literal["imagefolder"] = "imagefolder"
    val_size: Images | None = Field(
        default=None, ge=0, description="Images held out where the folder has no val. Unset: a tenth."
    )
    split_seed: int = Field(default=0, ge=0, description="Seed of the choice of the held-out images.")
    labels: str | None = Field(
        default=None,
        description="Where labels come from that are no class folders: names, for files called CLASS_12.jpg, "
        "or a table, FILE or FILE:COLUMN, relative to the data root. Unset: a table beside the images.",
    )
    train_folder: str | None = Field(
        default=None,
        description="The folder of the training images; . where the class folders lie in the root. "
        "Unset: train in its usual spellings.",
    )
    val_folder: str | None = Field(
        default=None, description="The folder of the validation images. Unset: val, valid or validation."
    )
    test_folder: str | None = Field(default=None, description="The folder of the test images. Unset: test.")
    exclude: tuple[str, ...] | None = Field(
        default=None, description="Class folders to leave out. Unset: none."
    )
    images_by: Literal["content", "suffix"] | None = Field(
        default=None,
        description="How images are told from other files: by content where the suffix is none of theirs, or "
        "by suffix alone, as older runs did. Filled in by the training.",
    )
    stratified: bool | None = Field(
        default=None,
        description="Whether held-out images are drawn class by class; unset in older runs. Filled in by the "
        "training.",
    )
    classes: tuple[str, ...] | None = Field(
        default=None, description="Names of the class folders, sorted. Filled in by the training."
    )
    num_train: Images | None = Field(
        default=None, ge=0, description="Training images. Filled in by the training."
    )
    num_val: Images | None = Field(
        default=None, ge=0, description="Validation images. Filled in by the training."
    )
    held_out: bool | None = Field(
        default=None,
        description="Whether the validation images are held out of the others. Filled in by the training.",
    )

    @property
    def num_classes(self) -> int:
        if self.classes is None:
            raise SpecError(
                "the classes of an imagefolder stand in its folders.", remedy=Remedy("data_root", "DIR")
            )
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self.classes

    @property
    def sizes(self) -> dict[str, int]:
        if self.num_train is None or self.num_val is None:
            counted_by = Remedy("verify_data", "imagefolder")
            raise SpecError(f"the images of an imagefolder are counted by: {counted_by}", given=counted_by)
        return {"train": self.num_train, "val": self.num_val, "test": 0}

    def surveyed(
        self, data_root: Path | None, progress: Callable[[int, int], None] | None = None
    ) -> tuple[ImageFolderSpec, Survey | None]:
        from rescli.data.photos.pack_index import packed_counts

        root = given_root(data_root)
        survey = self.survey(data_root, progress)
        if survey is None:
            self._refuse_keys_of_folders(root)
            class_names, counts = packed_counts(root)
        elif survey.refusals:
            return self, survey
        else:
            class_names, counts = survey.class_names, survey.counts
        if "train" not in counts and "all" not in counts:
            raise DataError(
                f"{root} has no training images: {', '.join(counts)} only.",
                page="folder-layout-not-understood",
            )
        held_out = "val" not in counts
        whole = counts.get("train", counts.get("all", 0))
        val = self._num_held_out(whole) if held_out else counts["val"]
        if held_out and val >= whole:
            raise SpecError(f"data.dataset.val_size: {val} of {whole} images leave none to train on.")
        filled = {
            # A run that was begun before there were these keys goes on as it began.
            "images_by": self.images_by or (None if self._is_older else "content"),
            "stratified": self.stratified if self._is_older or self.stratified is not None else held_out,
            "classes": class_names,
            "num_train": whole - val if held_out else whole,
            "num_val": val,
            "held_out": held_out,
        }
        return self.model_copy(update=filled), survey

    def _refuse_keys_of_folders(self, root: Path) -> None:
        keys = ("labels", "train_folder", "val_folder", "test_folder", "exclude")
        if given := [f"data.dataset.{key}" for key in keys if getattr(self, key)]:
            raise SpecError(
                f"{', '.join(given)}: {root} holds packed images, with the splits and classes that they were "
                "packed with.",
                hint="give these keys to the packing",
            )

    def survey(
        self,
        data_root: Path | None,
        progress: Callable[[int, int], None] | None = None,
        *,
        every_header: bool = False,
    ) -> Survey | None:
        from rescli.data.folders.survey import survey_folder
        from rescli.data.photos.pack_index import is_packed

        root = given_root(data_root)
        if is_packed(root):
            return None
        return survey_folder(
            root,
            self.wanted,
            image_size=self.image_size,
            upright=self.orientation == "upright",
            held_out=self._num_held_out,
            progress=progress or (lambda _done, _total: None),
            every_header=every_header,
        )

    def resolved(self, data_root: Path | None) -> ImageFolderSpec:
        resolved, survey = self.surveyed(data_root)
        if survey is not None:
            survey.require_trainable()
        return resolved

    def check_available(self, data_root: Path | None) -> None:
        self.splits(data_root)

    def splits(self, data_root: Path | None) -> tuple[str, ...]:
        from rescli.data.folders.read import folder_splits

        there = folder_splits(given_root(data_root), self.wanted)
        if not self.held_out:
            return there
        return ("train", *(("val",) if self.num_val else ()), *(("test",) if "test" in there else ()))

    def read(
        self, data_root: Path | None, splits: tuple[str, ...], *, hashed: bool = True
    ) -> dict[str, ImageFiles]:
        from rescli.data.folders.read import folder_splits, read_folder

        root, wanted = given_root(data_root), self.wanted
        read = partial(read_folder, root, class_names=self.classes, wanted=wanted, hashed=hashed)
        there = folder_splits(root, wanted)
        if not self.held_out:
            if self.classes and (absent := [split for split in splits if split not in there]):
                raise DataError(
                    f"{root} has no split {absent[0]!r}; it has {', '.join(there)}.",
                    remedy=Remedy("data_root", "DIR", "the data it began with"),
                    page="folder-layout-not-understood",
                )
            return read(splits)
        from rescli.data.split import stratified_split, train_val_split

        whole_name = "train" if "train" in there else "all"
        whole = read((whole_name,))[whole_name]
        if len(whole) != (self.num_train or 0) + (self.num_val or 0):
            raise DataError(
                f"{root} has {counted(len(whole), 'image')} where "
                f"{(self.num_train or 0) + (self.num_val or 0)} were counted when the run began.",
                page="resume-refused",
            )
        if self.stratified:
            train, val = stratified_split(whole.labels_N, val_size=self.num_val or 0, seed=self.split_seed)
        else:
            train, val = train_val_split(len(whole), val_size=self.num_val or 0, seed=self.split_seed)
        parts = {"train": train, "val": val}
        found = {split: whole.subset(parts[split]) for split in splits if split in parts}
        if "test" in splits:
            found |= read(("test",))
        return found

    def _num_held_out(self, whole: int) -> int:
        return self.val_size if self.val_size is not None else whole // 10

    @property
    def _is_older(self) -> bool:
        """Whether the spec was filled in before there was the key ``images_by``."""
        return self.images_by is None and self.num_train is not None

    @property
    def wanted(self) -> FolderOptions:
        """What its keys say of the folder, as the functions of ``rescli.data.folders`` take it."""
        from rescli.data.folders.layout import FolderOptions

        named = {"train": self.train_folder, "val": self.val_folder, "test": self.test_folder}
        return FolderOptions(
            labels=self.labels,
            folders={split: folder for split, folder in named.items() if folder is not None},
            exclude=self.exclude or (),
            by="suffix" if self._is_older or self.images_by == "suffix" else "content",
        )
