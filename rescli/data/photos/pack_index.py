"""``packed.json``: the splits and classes of photographs that were packed. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from rescli.errors import DataError
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT, Count, FileName, Sha256

__all__ = ["INDEX", "PACK_AGAIN", "is_packed", "packed_counts", "write_index"]

INDEX = "packed.json"
PACK_AGAIN = "pack the photographs again"
_FORMAT, _KEYS_BEFORE = 1, 3


@with_config(EXACT)
class _Index(TypedDict):
    """What packed.json holds; packs of earlier versions have no hash of the rest."""

    format: int
    splits: Annotated[dict[FileName, Count], Field(min_length=1)]
    class_names: Annotated[list[str], Field(min_length=1)]
    content_sha256: NotRequired[Sha256]


def is_packed(root: Path) -> bool:
    return (root / INDEX).is_file()


def packed_counts(root: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes, and how many images each split has.

    Raises:
        DataError: the index is damaged.
    """
    path = root / INDEX
    index = read_stored(path, _Index, error=DataError, hint=PACK_AGAIN)
    if index["format"] != _FORMAT:
        raise DataError(f"{path} has format {index['format']}; this rescli reads {_FORMAT}.", hint=PACK_AGAIN)
    written = index.get("content_sha256")
    # One without a hash is of an earlier version, and has no key more: the hash's own may be what is damaged.
    other = _index_sha256(index["class_names"], index["splits"]) != written
    if other and (written is not None or len(index) > _KEYS_BEFORE):
        raise DataError(f"{path} is damaged: its content is not what was written.", hint=PACK_AGAIN)
    return tuple(index["class_names"]), dict(index["splits"])


def write_index(folder: Path, class_names: tuple[str, ...], counts: dict[str, int]) -> None:
    """packed.json, last: where it stands, all of it stands."""
    sha256 = _index_sha256(list(class_names), counts)
    index = _Index(format=_FORMAT, splits=counts, class_names=list(class_names), content_sha256=sha256)
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _index_sha256(class_names: list[str], counts: dict[str, int]) -> str:
    return hashlib.sha256(json.dumps([class_names, counts], sort_keys=True).encode()).hexdigest()
