"""What a checkpoint says of itself, as types; and config.json, which says it beside exported weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from rescli.errors import CheckpointError
from rescli.files import read_file
from rescli.stored.json_values import MOST_BYTES, as_stored, parse_json
from rescli.stored.values import EXACT, Count, Interval, Loss, Percent, Sha256

__all__ = [
    "OTHER_COPY",
    "CheckpointMetadata",
    "KnownFigures",
    "Origin",
    "Section",
    "StoredDescription",
    "StoredScheme",
    "described_beside",
    "metadata_damaged",
    "metadata_of",
    "read_description",
]

OTHER_COPY = "copy it again from where it came, or take another checkpoint of the run"
"""What to do about a checkpoint that is damaged."""

Section = dict[str, Any]
"""A part whose keys a plugin decides; it is held against that plugin's own types where it is built."""

ClassNames = Annotated[list[str], Field(min_length=1)]


@with_config(EXACT)
class KnownFigures(TypedDict, total=False):
    """What came out on one split; errors in percent, loss in nats. Imported files may lack any of it."""

    iteration: Count | None
    num_images: Count | None
    top1_error: Percent | None
    top5_error: Percent | None
    loss: Loss | None
    interval95: Interval | None
    selection: str | None
    protocol: str | None
    precision: str | None


@with_config(EXACT)
class StoredScheme(TypedDict):
    """A normalisation, but for the numbers in it: those are held against its shape where it is built."""

    kind: str
    shape: list[Count]
    mean_per_channel: NotRequired[list[float]]
    mean_float32_base64: str
    std_float32_base64: str | None


@with_config(EXACT)
class Origin(TypedDict, total=False):
    """The images of a training by split, or the file that imported weights came from."""

    dataset: str
    num_images: dict[str, Count]
    sha256: dict[str, str]
    imported_from: dict[str, Any] | None


@with_config(EXACT)
class CheckpointMetadata(TypedDict, total=False):
    """The metadata of a checkpoint, each value decoded from its JSON."""

    format_version: int
    rescli_version: str
    model: Section
    dataset: Section
    spec: Section | None
    normalization: StoredScheme
    class_names: ClassNames
    iteration: Count
    selection: str
    results: dict[str, KnownFigures | None]
    data: Origin
    precision: str
    content_sha256: Sha256


@with_config(EXACT)
class _Row(KnownFigures):
    split: str


@with_config(EXACT)
class _Trained(TypedDict):
    iteration: Count
    selection: str
    trained_in: str
    imported_from: NotRequired[dict[str, Any] | None]


@with_config(EXACT)
class StoredDescription(TypedDict):
    """What config.json says of exported weights, as far as a checkpoint is made of it."""

    model: str
    model_spec: Section
    dataset: str
    class_names: ClassNames
    normalization: StoredScheme
    training: Section | None
    checkpoint: _Trained
    results: list[_Row]


def metadata_of(path: Path, texts: Mapping[str, str]) -> CheckpointMetadata:
    """The metadata of a file, out of the texts that a safetensors file holds.

    Args:
        path: of the file, for errors.
        texts: by key, each JSON but for ``format``, which other programs write.

    Raises:
        CheckpointError: one is no JSON, or of another type; names the field.
    """
    found: dict[str, Any] = {}
    for key, text in texts.items():
        if key != "format":
            try:
                found[key] = parse_json(text)
            except ValueError as error:
                raise metadata_damaged(path, f"{key} is no JSON: {error}") from error
    return as_stored(found, CheckpointMetadata, lambda wrong: metadata_damaged(path, wrong))


def metadata_damaged(path: Path, wrong: str) -> CheckpointError:
    """The error of a checkpoint whose metadata is not what rescli writes."""
    return CheckpointError(f"{path}: its metadata is damaged: {wrong}.", hint=OTHER_COPY)


def read_description(config: Path) -> StoredDescription | None:
    """What rescli wrote into a config.json of what it exported; None where another program wrote it.

    Raises:
        CheckpointError: missing, no JSON, or of another type; names the field.
    """
    try:
        return _description(config)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{config} is damaged: {error}.", hint="export the net again") from error


def described_beside(weights: Path) -> StoredDescription | None:
    """As ``read_description`` of the config.json beside a file; None too where that is missing or no JSON.

    Raises:
        CheckpointError: it is rescli's, and of another type.
    """
    try:
        return _description(weights.with_name("config.json"))
    except (OSError, ValueError):
        return None


def _description(config: Path) -> StoredDescription | None:
    found = parse_json(read_file(config, most=MOST_BYTES))
    inner = found.get("rescli", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict) or "model_spec" not in inner:
        return None
    return as_stored(
        inner,
        StoredDescription,
        lambda wrong: CheckpointError(f"{config} is damaged: {wrong}.", hint="export the net again"),
    )
