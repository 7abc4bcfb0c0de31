"""The checkpoint whose weights a run begins with, as far as a spec needs to know it. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescli import registry
from rescli.errors import CheckpointError
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec
from rescli.spec.photos import PhotoSetSpec, is_crop_size
from rescli.spec.run import RunSpec
from rescli.spec.toml import Table

__all__ = ["WarmStart", "differences_of_nets", "net_in_words"]

_OF_A_FRESH_NET = {"init_fan"}
"""Fields of a model that no longer matter once its weights come from elsewhere."""


@dataclass(frozen=True)
class WarmStart:
    """A checkpoint whose weights a run begins with.

    Args:
        checkpoint: its absolute path.
        sha256: of the whole file.
        model: its whole model section, since a net that begins with these weights is that net.
        dataset: the section of the images that it was trained on.
    """

    checkpoint: str
    sha256: str
    model: Table
    dataset: Table = field(default_factory=dict)

    def as_section(self) -> Table:
        """The section ``start_from`` of a spec."""
        return {"checkpoint": self.checkpoint, "sha256": self.sha256}

    @property
    def net(self) -> ModelSpec | None:
        """The checkpoint's net; None where no such kind is known here."""
        found = _of_kind("models", self.model)
        return found if isinstance(found, ModelSpec) else None

    @property
    def images(self) -> DatasetSpec | None:
        """What its net was trained on; None where no such kind is known here."""
        found = _of_kind("datasets", self.dataset)
        return found if isinstance(found, DatasetSpec) else None

    def as_seen(self, table: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Keys by which the run sees images as the checkpoint's net did, where the user left them open.

        Args:
            table: the run's spec before it is checked. Whoever writes its shorter sides has a size in mind.
        """
        given, theirs = _section(table, "data"), self.images
        ours = given.get("dataset")
        ours = {"kind": ours} if isinstance(ours, str) else ours
        if theirs is None or not isinstance(ours, Mapping) or _section(given, "augment").get("shorter_side"):
            return []
        ours_class = registry.load("datasets", str(ours.get("kind")))
        if not issubclass(ours_class, PhotoSetSpec):
            return []
        size, upright = theirs.image_size, getattr(theirs, "orientation", "stored") != "stored"
        found: list[tuple[str, Any]] = []
        if "image_size" not in ours and is_crop_size(size):
            found.append(("data.dataset.image_size", size))
        if "orientation" not in ours and upright:
            found.append(("data.dataset.orientation", "upright"))
        return found

    def require_same_net(self, spec: RunSpec) -> None:
        """Refuse a net in whose layers the weights have no place, as far as its layout says.

        Raises:
            CheckpointError: they have none.
        """
        theirs = self.net
        if theirs is None:
            return
        layouts = [
            model.layout(num_classes=2, image_size=spec.data.dataset.image_size)
            for model in (theirs, spec.model)
        ]
        shapes = [
            [(conv.in_channels, conv.out_channels, conv.kernel) for conv in layout.convs]
            for layout in layouts
            if layout is not None
        ]
        if len(shapes) == len(layouts) and shapes[0] != shapes[1]:
            differ = ", ".join(differences_of_nets(theirs, spec.model))
            raise CheckpointError(
                f"the weights of {theirs.name} in {self.checkpoint} do not fit this network, "
                f"{spec.model.name}: {differ}.",
                remedy=Remedy("net_of_start", self.checkpoint),
                page="weights-do-not-fit",
            )


def differences_of_nets(theirs: ModelSpec, ours: ModelSpec) -> Iterator[str]:
    """What is different in a net from the one whose weights it takes: ``width 64 in place of 16``."""
    before, after = _flat(theirs), _flat(ours)
    for key in {**before, **after}:
        if key not in _OF_A_FRESH_NET and before.get(key) != after.get(key):
            yield f"{key} {after.get(key, 'none')} in place of {before.get(key, 'none')}"


def net_in_words(model: ModelSpec) -> str:
    """The name, and what else tells it from other nets.

    Example:
        >>> from rescli.models.specs import model_spec
        >>> net_in_words(model_spec("resnet-20"))
        'resnet-20 (family cifar, width 16, shortcut A)'
    """
    known = ((key, getattr(model, key, None)) for key in ("family", "width", "shortcut"))
    told = ", ".join(f"{key} {value}" for key, value in known if value is not None)
    return f"{model.name} ({told})" if told else model.name


def _flat(model: ModelSpec) -> dict[str, Any]:
    """Its fields; of a section, such as the block, the kind where that is all."""
    fields: dict[str, Any] = model.model_dump(mode="json", exclude_none=True)
    flat = {
        key: value["kind"] if isinstance(value, Mapping) and {*value} == {"kind"} else value
        for key, value in fields.items()
    }
    if flat.get("block") == "basic":  # whose stride has one place
        flat.pop("stride_on", None)
    return flat


def _of_kind(group: str, section: Mapping[str, Any]) -> Any:
    """The spec that a section of a checkpoint stands for; None where it has none that is known here."""
    kind = section.get("kind")
    if not isinstance(kind, str) or kind not in registry.names(group):
        return None
    try:
        return registry.load(group, kind).model_validate(dict(section))
    except ValueError:  # what is wrong with a checkpoint is said where it is read whole
        return None


def _section(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, Mapping) else {}
