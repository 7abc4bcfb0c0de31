"""What the user named, by preset or by data set and model, as one RunSpec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from rescli import paper, registry
from rescli.errors import SpecError, UnknownNameError, UsageError
from rescli.models.naming import parse_model_name
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec
from rescli.spec.explain import explain
from rescli.spec.load import laid, lay_over, load_spec, preset_names, read_preset, require_start
from rescli.spec.run import RunSpec
from rescli.spec.toml import Table
from rescli.spec.warm_start import WarmStart

__all__ = ["Choice", "begun_spec", "change_spec", "choose_changes", "choose_spec", "named_dataset"]

_DATASET_KEYS = "data.dataset."


@dataclass(frozen=True)
class Choice:
    """What a user may name of a run; None and empty where not given."""

    preset: str | None = None
    dataset: str | None = None
    model: str | None = None
    depth: int | None = None
    shortcut: str | None = None
    iterations: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    precision: str | None = None
    overrides: list[tuple[str, Any]] = field(default_factory=list)
    start_from: WarmStart | None = None

    @property
    def is_empty(self) -> bool:
        return self == Choice()

    @property
    def takes_net_of_start(self) -> bool:
        """Whether the net is that of the weights to begin with."""
        return self.start_from is not None and self.model is None and self.depth is None

    @property
    def names_a_net(self) -> bool:
        """Whether a whole spec is named, not only changes to one."""
        return any(name is not None for name in (self.preset, self.dataset, self.model, self.depth))


def choose_spec(choice: Choice) -> tuple[str, RunSpec]:
    """(preset used, spec).

    With a preset, data set, model and depth change it. Without one, the preset ``D/resnet-N`` is used
    where there is one, else ``D/base`` with that model.

    Raises:
        UsageError: nothing was named, or names contradict each other.
        SpecError: a key or value that cannot work, or a recipe for fine-tuning without weights to begin
            with.
        CheckpointError: the weights to begin with have no place in the net that was named.
    """
    preset, overrides = _preset_of(choice)
    require_start(preset, _flag_overrides(choice))
    if choice.start_from is None:
        return preset, load_spec(preset, [*overrides, *_flag_overrides(choice)])
    if choice.takes_net_of_start:
        overrides = [*overrides, ("model", choice.start_from.model)]
    return preset, begun_spec(preset, overrides, _flag_overrides(choice), choice.start_from)


def begun_spec(
    preset: str,
    named: Sequence[tuple[str, Any]],
    overrides: Sequence[tuple[str, Any]],
    start: WarmStart,
) -> RunSpec:
    """The spec of a run that begins with weights; images are seen as they were, unless something says else.

    Args:
        preset: or a .toml file.
        named: keys that follow from the names of the net and the data set.
        overrides: laid over those.
        start: the checkpoint.

    Raises:
        SpecError: a key or value that cannot work.
        CheckpointError: the weights have no place in the net.
    """
    seen = start.as_seen(laid(read_preset(preset), [*named, *overrides]))
    try:
        spec = load_spec(preset, [*named, *seen, *overrides])
    except SpecError:
        # A net that there is at the preset's own size is another one than the checkpoint's.
        with suppress(SpecError):
            start.require_same_net(load_spec(preset, [*named, *overrides]))
        raise
    start.require_same_net(spec)
    return spec


def choose_changes(preset: str, choice: Choice) -> RunSpec:
    """The spec of ``preset`` (or a .toml file) with the flags that do not name a net."""
    return load_spec(preset, _flag_overrides(choice))


def change_spec(spec: RunSpec, choice: Choice) -> RunSpec:
    """``spec`` with what of the choice does not name a net.

    Raises:
        SpecError: a key or value that cannot work.
    """
    overrides = _flag_overrides(choice)
    return lay_over(spec.to_dict(), overrides) if overrides else spec


def named_dataset(name: str, changes: Mapping[str, object] | None = None) -> DatasetSpec:
    """The data set of that name with its defaults.

    Args:
        name: one that is registered.
        changes: keys of the data set and their values, ``{"data.dataset.labels": "names"}``.

    Raises:
        UnknownNameError: no data set has that name.
        SpecError: its name alone does not say enough, or it has no such key.
    """
    dataset_class: type[DatasetSpec] = registry.load("datasets", name)
    keys = {key.removeprefix(_DATASET_KEYS): value for key, value in (changes or {}).items()}
    try:
        return dataset_class.model_validate({**keys, "kind": name})
    except ValidationError as error:
        if keys:
            raise SpecError(f"data set {name!r}: {explain(error)}") from error
        fields = ", ".join(".".join(map(str, line["loc"])) for line in error.errors(include_url=False))
        raise SpecError(
            f"data set {name!r} is not complete by its name alone; it needs: {fields}."
        ) from error


def _flag_overrides(choice: Choice) -> list[tuple[str, Any]]:
    flags = (
        ("model.shortcut", choice.shortcut),
        ("iterations", choice.iterations),
        ("data.batch_size", choice.batch_size),
        ("seed", choice.seed),
        ("precision", choice.precision),
    )
    given: list[tuple[str, Any]] = [(key, value) for key, value in flags if value is not None]
    if choice.start_from is not None:
        given.append(("start_from", choice.start_from.as_section()))
    return given + choice.overrides


def _preset_of(choice: Choice) -> tuple[str, list[tuple[str, Any]]]:
    if choice.model is not None and choice.depth is not None:
        raise UsageError(
            f"the model {choice.model!r} and the depth {choice.depth} both name a depth; give one of them.",
            remedy=[Remedy("model", choice.model), Remedy("model.depth", choice.depth)],
        )
    if choice.preset is not None:
        return choice.preset, _changes_to_preset(choice)
    if choice.dataset is None and choice.model is None and choice.depth is None:
        raise UsageError(
            "nothing to train was named.",
            remedy=[
                Remedy("train", "quickstart"),
                Remedy("model.depth", 20, "trains ResNet-20 on CIFAR-10"),
            ],
        )
    dataset = choice.dataset if choice.dataset is not None else "cifar10"
    if dataset not in registry.names("datasets"):
        raise UnknownNameError("dataset", dataset, registry.names("datasets"))
    kind, depth = parse_model_name(choice.model) if choice.model is not None else ("resnet", choice.depth)
    if depth is None and choice.model is None:
        return f"{dataset}/base", []
    exact = f"{dataset}/{kind}-{depth}"
    if exact in preset_names():
        return exact, []
    base = f"{dataset}/base"
    if base not in preset_names():
        raise UsageError(
            f"data set {dataset!r} has no preset {base!r}; name a preset that fits it.",
            remedy=Remedy("list_presets"),
        )
    overrides: list[tuple[str, Any]] = [("model", _model_table(kind, depth))]
    return base, overrides + _warmup_of(depth, base)


def _changes_to_preset(choice: Choice) -> list[tuple[str, Any]]:
    changes: list[tuple[str, Any]] = []
    if choice.dataset is not None:
        if choice.dataset not in registry.names("datasets"):
            raise UnknownNameError("dataset", choice.dataset, registry.names("datasets"))
        changes.append(("data.dataset", {"kind": choice.dataset}))
    if choice.model is not None:
        kind, depth = parse_model_name(choice.model)
        changes += [("model", _model_table(kind, depth)), *_warmup_of(depth, str(choice.preset))]
    if choice.depth is not None:
        changes += [("model.depth", choice.depth), *_warmup_of(choice.depth, str(choice.preset))]
    return changes


def _warmup_of(depth: int | None, preset: str) -> list[tuple[str, Any]]:
    """Another depth brings its own warm-up: the paper's from 110 layers, none below.

    Of the CIFAR study, whose schedule has milestones; that of ImageNet has none.
    """
    if depth is None or read_preset(preset).get("schedule", {}).get("kind") != "multistep":
        return []
    return [("schedule.warmup", {} if paper.warms_up(depth) else None)]


def _model_table(kind: str, depth: int | None) -> Table:
    return {"kind": kind} if depth is None else {"kind": kind, "depth": depth}
