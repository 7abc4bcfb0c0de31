"""Whether image files are whole, found out before a training rather than in its middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rescli.data.photos.decoding import open_rgb, read_header
from rescli.data.photos.endings import has_its_end
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.packed import PackedImages
from rescli.data.photos.prefetch import map_ahead, map_quick
from rescli.errors import DataError
from rescli.hardware.threads.cores import usable_cores
from rescli.plurals import image_of, plural
from rescli.remedy import Remedy

__all__ = ["require_whole"]

_MOST_FILES = 10_000
"""Files of a split that are looked at, some 2 s on one core; of more, so many at equal distances."""

_MOST_PIXELS = 2**29
"""Pixels of a split that are decoded to see that all are there, some 5 s of JPEG on one core."""

_NAMED = 3

_SKIP = Remedy("data.skip_damaged")


@dataclass(frozen=True)
class _Look:
    """What a file tells without its pixels.

    Args:
        name: of the file.
        pixels: how many it has.
        whole: whether it ends as it should; None where its format does not tell.
        damage: why it is no image that can be trained on; None where nothing is known against it.
    """

    name: str
    pixels: int = 0
    whole: bool | None = None
    damage: str | None = None


def require_whole(
    files: ImageFiles,
    split: str,
    *,
    decode: bool,
    most: int = _MOST_FILES,
    remedy: Remedy | Sequence[Remedy] = _SKIP,
) -> None:
    """Refuse image files that are damaged.

    The header of each is read, and whether the file ends as a whole one does: that finds what is no image and
    what was cut off. A file that ends otherwise, or of a format that does not tell, is decoded, as long as
    all that is decoded has no more than ``_MOST_PIXELS``; of the rest it stays open. Packed images were
    decoded when they were packed.

    Args:
        files: the images of a split.
        split: its name, for errors.
        decode: decode the images too, where all together have no more than ``_MOST_PIXELS``.
        most: files that are looked at, at equal distances where there are more.
        remedy: settings that go on without the damaged ones.

    Raises:
        DataError: how many are damaged, and the first few of them.
    """
    if isinstance(files, PackedImages):
        return
    count = min(len(files), most)
    names = [files.file_names[index * len(files) // count] for index in range(count)]
    threads = usable_cores()
    found = list(map_quick(lambda name: _looked_at(files.root, name), names, threads=threads))
    damaged = {look.name: look.damage for look in found if look.damage is not None}
    # Those that seem cut off first.
    unproven = [look for doubt in (False, None) for look in found if not look.damage and look.whole is doubt]
    proven = [look for look in found if look.whole]
    everything = decode and not damaged and sum(look.pixels for look in found) <= _MOST_PIXELS
    to_decode = list(chain(_affordable(unproven), proven if everything else ()))
    decoded = map_ahead(lambda look: _decoded(files.root / look.name), to_decode, threads=threads)
    for look, reason in zip(to_decode, decoded, strict=True):
        if reason is not None:
            damaged[look.name] = reason
    if damaged:
        reasons = [damaged[name].removesuffix(".") for name in names if name in damaged]
        more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        raise DataError(
            f"{len(reasons)} of the {len(files):,} {plural(image_of(split))} cannot be read: "
            f"{'; '.join(reasons[:_NAMED])}{more}.",
            hint="replace or remove the files; or to go on without them",
            remedy=remedy,
            page="damaged-photographs",
        )


def _looked_at(root: Path, name: str) -> _Look:
    try:
        header = read_header(root / name)
        if header.mode[0] in "IF" and (reason := _decoded(root / name)) is not None:
            return _Look(name, damage=reason)  # refused for its mode, before any pixel
        whole = has_its_end(root / name, header.format)
    except DataError as error:
        return _Look(name, damage=str(error))
    return _Look(name, header.width * header.height, whole)


def _affordable(looks: list[_Look]) -> Iterator[_Look]:
    left = _MOST_PIXELS
    for look in looks:
        if look.pixels <= left:
            left -= look.pixels
            yield look


def _decoded(path: Path) -> str | None:
    try:
        open_rgb(path)
    except DataError as error:
        return str(error)
    return None
