"""What the names of folders and files in a set of photographs mean."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = [
    "ALL",
    "ALL_SUFFIXES",
    "OLD_SUFFIXES",
    "PLUGIN_SUFFIXES",
    "SUFFIXES",
    "TRAIN_VAL_TEST",
    "guessed_split",
    "is_archive",
    "is_background",
    "is_download_part",
    "is_fold",
    "is_junk",
    "named_split",
    "near_names",
    "same_but_for_spelling",
    "split_in_name",
]

ALL = "all"
"""The one split of a folder without ``train``, ``val`` and ``test``."""

TRAIN_VAL_TEST = ("train", "val", "test")

OLD_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The suffixes by which runs without the key ``data.dataset.images_by`` found their images."""

SUFFIXES = (*OLD_SUFFIXES, ".gif", ".jfif", ".jpe")

PLUGIN_SUFFIXES = (".avif", ".heic", ".heif", ".hif", ".jxl")
"""What Pillow reads with a plugin, or where it was built with the library."""

ALL_SUFFIXES = (*SUFFIXES, *PLUGIN_SUFFIXES)

_SPELLINGS = {
    "train": ("train", "training", "trainset", "trainingset", "traindata"),
    "val": ("val", "valid", "validation", "valset", "validset", "validationset", "valdata"),
    "test": ("test", "testing", "testset", "testdata"),
}
_SPLIT_OF = {spelling: split for split, spellings in _SPELLINGS.items() for spelling in spellings}

_GUESSES = {
    **_SPLIT_OF,
    **dict.fromkeys(("trn", "learn", "learning", "fit", "entrenamiento", "treino", "apprentissage"), "train"),
    **dict.fromkeys(("dev", "vld", "eval", "evaluation", "heldout", "holdout", "validacion"), "val"),
    **dict.fromkeys(("tst", "tests", "prueba", "pruebas", "teste", "unseen"), "test"),
}

_JUNK = {
    *(
        "__macosx",
        "@eadir",
        "@__thumb",
        "#recycle",
        "$recycle.bin",
        "lost+found",
        "system volume information",
    ),
    *("__pycache__", "thumbs.db", "desktop.ini"),
}

_DOWNLOAD_PARTS = {
    *("images", "image", "img", "imgs", "jpegimages", "jpegs", "photos", "pictures", "data", "dataset"),
    *("annotations", "annotation", "labels", "masks", "mask", "segmentations", "trimaps", "boxes"),
}

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


def named_split(name: str) -> str | None:
    """The split that a folder's name stands for, in any spelling that is in use; None for none.

    >>> [named_split(name) for name in ("Train", "valid", "validation_set", "cats")]
    ['train', 'val', 'val', None]
    """
    return _SPLIT_OF.get(re.sub(r"[-_ .]", "", name.casefold()))


def split_in_name(name: str) -> str | None:
    """The split that one of a name's words stands for, as in ``train_images`` and ``seg_test``."""
    found = {_SPLIT_OF[word] for word in re.split(r"[-_ .]+", name.casefold()) if word in _SPLIT_OF}
    return found.pop() if len(found) == 1 else None


def guessed_split(name: str) -> str | None:
    """The split that a folder may be meant for; only to propose it, for words such as ``dev`` may be classes.

    >>> [guessed_split(name) for name in ("seg_test", "tst", "prueba", "train2017", "cam1")]
    ['test', 'test', 'test', 'train', None]
    """
    words = re.split(r"[-_ .\d]+", name.casefold())
    return named_split(name) or next((_GUESSES[word] for word in words if word in _GUESSES), None)


def is_fold(name: str) -> bool:
    """Whether a folder is called as one of several parts of a set: ``fold1``, ``split_b``, ``set 2``."""
    return (
        re.fullmatch(r"(?:k?folds?|splits?|sub(?:set)?|set|cv|part)[-_ .]?(?:\d+|[a-z])", name.casefold())
        is not None
    )


def is_download_part(name: str) -> bool:
    """Whether a folder is called as parts of a download are: ``images``, ``annotations``, ``photos_part_1``.

    >>> [name for name in ("images", "HAM10000_images_part_2", "cats", "depart") if is_download_part(name)]
    ['images', 'HAM10000_images_part_2']
    """
    plain = re.sub(r"[-_ .]", "", name.casefold())
    return plain in _DOWNLOAD_PARTS or re.search(r"part\d+$", plain) is not None


def is_junk(name: str) -> bool:
    """Whether a name is an operating system's or a disk's own, and no class of photographs."""
    return name.startswith(".") or name.casefold() in _JUNK


def is_archive(name: str) -> bool:
    """Whether a file is one that has to be unpacked first."""
    return name.lower().endswith(_ARCHIVES)


def is_background(class_name: str) -> bool:
    """Whether a class is of everything else, such as ``BACKGROUND_Google`` of Caltech-101."""
    return re.match(r"background\b|background[_ -]", class_name, re.IGNORECASE) is not None


def near_names(name: str, others: Iterable[str]) -> tuple[str, ...]:
    """Those of ``others`` that somebody may have meant, the nearest first, three at most."""
    by_plain: dict[str, str] = {}
    for other in others:
        by_plain.setdefault(_plain(other), other)
    found = difflib.get_close_matches(_plain(name), by_plain, n=3, cutoff=0.75)
    return tuple(by_plain[plain] for plain in found)


def same_but_for_spelling(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of names that differ in case, accents' encoding, spaces, hyphens and underscores alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_plain(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _plain(name: str) -> str:
    whole = unicodedata.normalize("NFC", name).casefold()
    return re.sub(r"[\s_-]+", " ", whole).strip()
