"""What can be said of a data set by reading all of it: counts, copies, files that do not decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.data.folders.read import other_files
from rescli.data.labelled_images import LabelledImages
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.packed import PackedImages
from rescli.data.photos.prefetch import map_ahead
from rescli.data.verify.copies import Contents, Copies, content_hash, find_copies
from rescli.errors import DataError
from rescli.plurals import are, counted

__all__ = ["Fault", "FileSize", "FilesCheck", "SplitCheck", "check_split", "copies_between"]


@dataclass(frozen=True)
class Fault:
    """What must be mended.

    Args:
        split: None where the whole data set is meant.
        file: its name, relative to its split; None where the whole split is meant.
        text: what is wrong, a sentence that can stand alone.
    """

    split: str | None
    file: str | None
    text: str


@dataclass(frozen=True)
class FileSize:
    """Width and height in pixels."""

    name: str
    width: int
    height: int


@dataclass(frozen=True)
class FilesCheck:
    """What is said of image files only.

    Args:
        modes: Pillow's name for the pixels as stored (RGB, L for grey, CMYK, ...) to how many files
            have it.
        smallest: the file with the fewest pixels; None where no file can be decoded.
        largest: the file with the most.
        num_undecodable: files that are missing or damaged; each is a fault.
        num_other_files: files in the class folders that are no images by their suffix.
        other_files: the first of those, a thousand at most.
    """

    modes: Mapping[str, int]
    smallest: FileSize | None
    largest: FileSize | None
    num_undecodable: int
    num_other_files: int
    other_files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SplitCheck:
    """One split, all of it read.

    Args:
        expected_images: how many there should be; None where nobody knows.
        images_per_class: one per class, in label order.
        copies: within the split, of images that can be decoded.
        files: None for a set in memory.
    """

    split: str
    num_images: int
    expected_images: int | None
    fingerprint: str
    class_names: tuple[str, ...]
    images_per_class: tuple[int, ...]
    copies: Copies
    files: FilesCheck | None
    faults: tuple[Fault, ...]
    contents: Contents

    @property
    def empty_classes(self) -> tuple[str, ...]:
        return tuple(n for n, count in zip(self.class_names, self.images_per_class, strict=True) if not count)

    @property
    def fewest(self) -> tuple[str, int] | None:
        """The first class with the fewest images, of those that have any; None where none has."""
        return min(self._filled, key=lambda pair: pair[1], default=None)

    @property
    def most(self) -> tuple[str, int] | None:
        """The first class with the most images; None where none has any."""
        return max(self._filled, key=lambda pair: pair[1], default=None)

    @property
    def _filled(self) -> list[tuple[str, int]]:
        return [pair for pair in zip(self.class_names, self.images_per_class, strict=True) if pair[1]]


def check_split(
    images: LabelledImages,
    *,
    split: str,
    expected_images: int | None = None,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> SplitCheck:
    """Count, hash and, if they are files, decode all images of a split.

    Args:
        expected_images: another number than this is a fault.
        threads: that decode.
        progress: called with the number of images done.

    Raises:
        DataError: a class folder can no longer be read. A file that cannot be decoded is a fault.
    """
    progress = progress or _unseen
    labels_N = images.labels_N.numpy()
    in_range_N = (labels_N >= 0) & (labels_N < images.num_classes)
    faults = []
    if expected_images is not None and len(images) != expected_images:
        faults.append(
            Fault(split, None, f"{split} has {counted(len(images), 'image')}, expected {expected_images}.")
        )
    if wrong := int((~in_range_N).sum()):
        text = (
            f"{split} has {counted(wrong, 'label')} that {are(wrong)} none of its "
            f"{counted(images.num_classes, 'class')}'."
        )
        faults.append(Fault(split, None, text))
    files = None
    indices = np.arange(len(images))
    if isinstance(images, ImageFiles):
        hashes, files, undecodable = _check_files(images, split, threads, progress)
        indices = np.delete(indices, list(undecodable))
        faults += undecodable.values()
        if isinstance(images, PackedImages) and not images.is_whole():
            text = f"{images.data} is damaged: it is not what was packed, by the sha256 that runs record."
            faults.append(Fault(split, None, text))
    else:
        assert images.stacked is not None, "images are files or lie in memory"
        hashes = _hashes_of_pixels(images.stacked, progress)
    contents = Contents(
        hashes_M=hashes,
        indices_M=indices,
        labels_N=labels_N,
        class_names=images.class_names,
        file_names=images.file_names,
    )
    return SplitCheck(
        split=split,
        num_images=len(images),
        expected_images=expected_images,
        fingerprint=images.fingerprint,
        class_names=images.class_names,
        images_per_class=tuple(np.bincount(labels_N[in_range_N], minlength=images.num_classes).tolist()),
        copies=find_copies(contents, contents),
        files=files,
        faults=tuple(faults),
        contents=contents,
    )


def copies_between(first: SplitCheck, second: SplitCheck) -> Copies:
    """Images of ``second`` that are in ``first`` too."""
    return find_copies(first.contents, second.contents)


def _check_files(
    files: ImageFiles, split: str, threads: int, progress: Callable[[int], None]
) -> tuple[NDArray[np.uint64], FilesCheck, dict[int, Fault]]:
    """(hashes of the files that decode, what is said of them, index -> fault of those that do not)."""

    def look(index: int) -> tuple[int, str, int, int] | DataError:
        try:
            image = files.image(index)
            content = files.content(index)
            return content_hash(content), files.stored_mode(index), image.width, image.height
        except DataError as error:
            return error
        except OSError as error:
            return DataError(f"{files.root / files.file_names[index]} cannot be read: {error.strerror}.")

    hashes = np.empty(len(files), dtype=np.uint64)
    modes: Counter[str] = Counter()
    smallest: FileSize | None = None
    largest: FileSize | None = None
    undecodable: dict[int, Fault] = {}
    for index, seen in enumerate(map_ahead(look, range(len(files)), threads=threads)):
        progress(index + 1)
        name = files.file_names[index]
        if isinstance(seen, DataError):
            undecodable[index] = Fault(split, name, str(seen))
            continue
        hashed, mode, width, height = seen
        hashes[index - len(undecodable)] = hashed
        modes[mode] += 1
        size = FileSize(name, width, height)
        smallest = size if smallest is None else min(smallest, size, key=_num_pixels)
        largest = size if largest is None else max(largest, size, key=_num_pixels)
    others = other_files(files)
    check = FilesCheck(
        modes=dict(modes.most_common()),
        smallest=smallest,
        largest=largest,
        num_undecodable=len(undecodable),
        num_other_files=others.num_files,
        other_files=tuple(sorted(others.first)),
    )
    return hashes[: len(files) - len(undecodable)], check, undecodable


def _hashes_of_pixels(images_NHWC: torch.Tensor, progress: Callable[[int], None]) -> NDArray[np.uint64]:
    hashes = np.empty(len(images_NHWC), dtype=np.uint64)
    for index, pixels_HWC in enumerate(images_NHWC.numpy()):
        hashes[index] = content_hash(np.ascontiguousarray(pixels_HWC).data)
        progress(index + 1)
    return hashes


def _num_pixels(size: FileSize) -> tuple[int, int]:
    """The order of sizes: by pixels, then by width, so that one size for all is both smallest and largest."""
    return size.width * size.height, size.width


def _unseen(num_images: int) -> None:
    pass
