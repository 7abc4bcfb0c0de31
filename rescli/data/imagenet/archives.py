"""The official archives of ImageNet 2012 into folders of classes.

Of training, a tar of one tar for each class; of validation, one tar of files whose labels come from
elsewhere. A class folder of train, and val as a whole, is written under a name with a dot and renamed when
it is whole: what bears its name is done, and a second call makes what is missing. Members are never given to
tarfile to extract: each is copied into a new plain file in the one folder meant.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rescli.data.folders.names import OLD_SUFFIXES
from rescli.data.imagenet.labels import labels_of
from rescli.data.imagenet.tar_members import opened, plain_files, reading
from rescli.errors import DataError, first_names
from rescli.plurals import counted

__all__ = ["Extracted", "bytes_to_write", "clear_staging", "extract_train", "extract_val"]

Progress = Callable[[int, int], None]
"""Called with the bytes of the archive that are done, and all of them."""


def _silent(*_bytes: int) -> None:
    pass


@dataclass(frozen=True)
class Extracted:
    """What stands on the disk.

    Args:
        images_per_class: WordNet id to number of images.
        num_new: images that were not there before.
    """

    images_per_class: Mapping[str, int]
    num_new: int

    @property
    def num_images(self) -> int:
        return sum(self.images_per_class.values())


def extract_train(
    archive: Path,
    out: Path,
    class_names: Sequence[str],
    *,
    num_images: int,
    progress: Progress = _silent,
) -> Extracted:
    """``out/CLASS/*`` of CLASS.tar in the archive.

    Raises:
        DataError: damaged, unsafe members, other classes or another number of images than ``num_images``, or
            a class folder that is not what the archive has.
    """
    counts: dict[str, int] = {}
    new = done = 0
    with opened(archive) as tar:
        members = _class_members(tar, archive, class_names)
        total = sum(member.size for member in members.values())
        for name, member in members.items():
            where = f"{member.name} in {archive}"
            inner = tar.extractfile(member)
            assert inner is not None
            with reading(where), tarfile.open(fileobj=inner, mode="r:") as class_tar:
                images = _images(class_tar, where)
                if _stands(out / name):
                    sizes = {image.name: image.size for image in images}
                    _check_same(out / name, sizes, where)
                    counts[name] = len(sizes)
                else:
                    places = ((image, Path()) for image in images)
                    counts[name] = _write_folder(class_tar, places, out / name)
                    new += counts[name]
            done += member.size
            progress(done, total)
    _reach_the_disk(new)
    if sum(counts.values()) != num_images:
        raise DataError(
            f"{archive} has {counted(sum(counts.values()), 'image')} in {counted(len(counts), 'class')}; it "
            f"should have {num_images}.",
            hint="get the archive again",
        )
    return Extracted(counts, new)


def extract_val(
    archive: Path,
    out: Path,
    labels: Mapping[str, str],
    class_names: Sequence[str],
    *,
    num_images: int,
    labels_from: Path,
    progress: Progress = _silent,
) -> Extracted:
    """``out/CLASS/*``, all of it or nothing.

    Args:
        labels: classes by file name without suffix.

    Raises:
        DataError: as ``extract_train``, or images without labels.
    """
    with opened(archive) as tar:
        where = str(archive)
        images = list(_images(tar, where))
        if len(images) != num_images:
            raise DataError(
                f"{archive} has {counted(len(images), 'image')}; it should have {num_images}.",
                hint="get the archive again",
            )
        classes = labels_of([image.name for image in images], labels, class_names, labels_from)
        counts = Counter(classes)
        if empty := sorted(set(class_names) - set(counts)):
            raise DataError(
                f"{labels_from} gives {counted(len(empty), 'class')} no image: {first_names(empty)}."
            )
        places = [(image, Path(name)) for image, name in zip(images, classes, strict=True)]
        stands = _stands(out)
        if stands:
            _check_same(out, {str(place / image.name): image.size for image, place in places}, where)
        else:
            total = sum(image.size for image in images)
            _write_folder(tar, places, out, lambda done: progress(done, total))
    _reach_the_disk(0 if stands else len(images))
    return Extracted({name: counts[name] for name in class_names}, 0 if stands else len(images))


def bytes_to_write(archive: Path, out: Path, *, of_classes: bool) -> int:
    """What the archive will take in ``out`` beyond what stands there, a fiftieth more than the images' bytes:
    files end within a block of the disk.

    Raises:
        DataError: the archive cannot be read.
    """
    if not of_classes:
        size = 0 if _stands(out) else archive.stat().st_size
    else:
        with opened(archive) as tar:
            names = {member: PurePosixPath(member.name).stem for member in tar}
            size = sum(member.size for member, name in names.items() if not _stands(out / name))
    return size + size // 50


def clear_staging(folder: Path) -> None:
    """Remove what a killed call left half done of the folder, and of folders in it."""
    left = [_staging(folder), *folder.glob(_staging(folder / "*").name)]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)


def _class_members(
    tar: tarfile.TarFile, archive: Path, class_names: Sequence[str]
) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in plain_files(tar, str(archive)):
        name, dot, suffix = member.name.partition(".")
        if (dot + suffix) != ".tar" or name in members:
            raise DataError(f"{archive} has {member.name!r} in it; it should hold each CLASS.tar once.")
        members[name] = member
    missing, unknown = sorted(set(class_names) - set(members)), sorted(set(members) - set(class_names))
    if missing or unknown:
        parts = [
            f"{len(names)} {what} ({first_names(names)})"
            for names, what in ((missing, "missing"), (unknown, "unknown"))
            if names
        ]
        raise DataError(
            f"{archive} does not have the {counted(len(class_names), 'class')} it should have: "
            f"{', '.join(parts)}.",
            hint="get the archive again",
        )
    return members


def _images(tar: tarfile.TarFile, where: str) -> Iterator[tarfile.TarInfo]:
    seen = set()
    for member in plain_files(tar, where):
        if not member.name.lower().endswith(OLD_SUFFIXES) or member.name in seen:
            raise DataError(f"{where} has {member.name!r} in it, which is no image or there twice.")
        seen.add(member.name)
        yield member


def _write_folder(
    tar: tarfile.TarFile,
    places: Iterable[tuple[tarfile.TarInfo, Path]],
    folder: Path,
    progress: Callable[[int], None] = _silent,
) -> int:
    """Each member into its place below ``folder``, which appears with all of them; how many they are."""
    staging = _staging(folder)
    clear_staging(folder)
    staging.mkdir(parents=True)
    count = done = 0
    try:
        for member, place in places:
            content = tar.extractfile(member)
            assert content is not None
            (staging / place).mkdir(exist_ok=True)
            with open(staging / place / member.name, "xb") as file:
                _copy(content, file, member)
            count += 1
            done += member.size
            progress(done)
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return count


def _reach_the_disk(num_new: int) -> None:
    # Once, in the end: to wait for each of a million files would take hours. What a power cut before leaves
    # empty under its name has another size than in the archive, which the next call sees.
    if num_new:
        os.sync()


def _copy(content: IO[bytes], file: IO[bytes], member: tarfile.TarInfo) -> None:
    shutil.copyfileobj(content, file, 1 << 20)
    if file.tell() != member.size:
        raise tarfile.ReadError(f"{member.name} ends after {file.tell()} of {member.size} bytes")


def _check_same(folder: Path, expected: Mapping[str, int], where: str) -> None:
    """Names, relative to the folder, and sizes."""
    found = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    if found == expected:
        return
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    raise DataError(
        f"{folder} is there already and not what {where} has: {counted(len(found), 'file')} for "
        f"{len(expected)}, {len(wrong)} missing, unknown or of another size ({first_names(wrong)}).",
        hint=f"move {folder} away; then the same command makes it anew",
    )


def _staging(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.unfinished")


def _stands(folder: Path) -> bool:
    return os.path.lexists(folder)
