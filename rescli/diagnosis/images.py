"""Which data sets are there, and whether they are whole, by what is cheap to look at."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import features

from rescli.data.cifar.images import CIFAR10, CIFAR100
from rescli.data.cifar.official_files import OfficialFiles, default_data_root, verified_source
from rescli.data.imagenet.images import find_imagenet
from rescli.data.photos.pack_index import PACK_AGAIN, is_packed, packed_counts
from rescli.diagnosis.findings import Fact, Finding, Level, Part, size
from rescli.diagnosis.place import why_not_writable
from rescli.errors import DataError
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["look_at_data", "look_at_decoding"]

_IMAGENET_CLASSES = 1000


def look_at_data(data_root: Path | None) -> Part:
    """CIFAR-10 and CIFAR-100 by their MD5s, ImageNet by its folders or the index of a packed set.

    Args:
        data_root: where to look; None for RESCLI_DATA, else the user's cache.
    """
    try:
        root = data_root.expanduser() if data_root is not None else default_data_root()
    except RuntimeError as error:
        text = f"the folder of the data cannot be found: {readable(str(error))}"
        return Part("data", (Finding("note", text, remedies=(Remedy("data_root", "DIR"),)),))
    facts: dict[str, Fact] = {"root": str(root)}
    findings = []
    if not os.path.isdir(root) and (data_root is not None or os.environ.get("RESCLI_DATA")):
        whose = "the folder that was given" if data_root is not None else "RESCLI_DATA"
        findings.append(Finding("note", f"{whose} is not there: {readable(str(root))}"))
    for cifar in (CIFAR10, CIFAR100):
        files = cifar.files
        name = files.title.lower().replace("-", "")
        try:
            source = verified_source(files, root)
        except DataError as error:
            unreadable = isinstance(error.__cause__, OSError)
            facts[name] = "unreadable" if unreadable else "damaged"
            level: Level = "note" if unreadable else "problem"
            findings.append(Finding(level, str(error), hint=error.hint or "", remedies=error.remedies))
            continue
        facts[name] = None if source is None else str(source)
        findings.append(
            _absent(files, root)
            if source is None
            else Finding(
                "ok",
                f"{files.title}: whole, {_checked(files, source)} by MD5, in {readable(str(source))}",
            )
        )
    findings.append(_imagenet(root, facts))
    findings.append(Finding("ok", "shapes: drawn when wanted, no file is needed"))
    return Part("data", tuple(findings), facts)


def _absent(files: OfficialFiles, root: Path) -> Finding:
    text = f"{files.title}: not in {readable(str(root))}; when a training wants it, "
    if (obstacle := why_not_writable(root)) is not None:
        return Finding(
            "note",
            f"{text}it cannot be downloaded there ({obstacle})",
            remedies=(Remedy("data_root", "DIR", "names another place; so does RESCLI_DATA=DIR"),),
        )
    return Finding("ok", f"{text}{size(files.archive_bytes)} are downloaded there")


def _checked(files: OfficialFiles, source: Path) -> str:
    return f"every one of {counted(len(files.md5s), 'file')}" if source.is_dir() else "the archive"


def _imagenet(root: Path, facts: dict[str, Fact]) -> Finding:
    try:
        place = find_imagenet(root, ("train", "val"))
    except (DataError, OSError):
        facts["imagenet"] = None
        return Finding("ok", f"ImageNet: not in {readable(str(root))}; it is never downloaded")
    facts["imagenet"] = str(place)
    said = f"ImageNet: in {readable(str(place))}"
    if is_packed(place):
        return _packed(place, said)
    counts = {}
    for split in ("train", "val"):
        folder = place / split
        if folder.is_dir():
            with os.scandir(folder) as entries:
                counts[split] = sum(entry.is_dir() for entry in entries)
    shown = ", ".join(f"{split} {counted(count, 'class folder')}" for split, count in counts.items())
    verify = (Remedy("verify_data", "imagenet", "reads it whole", also={"data_root": root}),)
    lacking = [
        s for s in ("train", "val") if counts.get(s) not in (_IMAGENET_CLASSES, *([0] if s == "val" else []))
    ]
    if lacking:
        text = f"{said}: {shown}, {_IMAGENET_CLASSES:,} expected; a training would refuse it"
        return Finding("note", text, remedies=verify)
    return Finding("ok", f"{said}: {shown}; no image was opened", remedies=verify)


def _packed(place: Path, said: str) -> Finding:
    try:
        classes, counts = packed_counts(place)
        for split in counts:
            if not (place / f"{split}.images").stat().st_size:
                return Finding("problem", f"{said}, packed: {split}.images is empty", hint=PACK_AGAIN)
    except (DataError, OSError) as error:
        return Finding("problem", f"{said}, packed: {readable(str(error))}", hint=PACK_AGAIN)
    shown = ", ".join(f"{split} {counted(count, 'image')}" for split, count in counts.items())
    return Finding("ok", f"{said}, packed: {shown} of {counted(len(classes), 'class')}, by its index alone")


def look_at_decoding() -> Part:
    """How photographs are decoded, which training on them waits for."""
    turbo = bool(features.check("libjpeg_turbo"))
    facts: dict[str, Fact] = {"libjpeg_turbo": turbo, "webp": bool(features.check("webp"))}
    if turbo:
        return Part("photographs", (Finding("ok", "JPEGs are decoded by libjpeg-turbo"),), facts)
    text = "this Pillow decodes JPEGs without libjpeg-turbo, several times slower"
    hint = "install Pillow again, from the wheel on PyPI"
    return Part("photographs", (Finding("note", text, hint=hint),), facts)
