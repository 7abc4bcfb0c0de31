"""A spec by name: a preset, a file, or a network on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rescli import registry
from rescli.errors import UnknownNameError
from rescli.models.naming import parse_model_name
from rescli.spec.from_names import Choice, choose_spec
from rescli.spec.load import load_spec, preset_names
from rescli.spec.run import RunSpec
from rescli.workflows.notes import with_notes

__all__ = ["spec"]


@with_notes
def spec(
    name: str | Path, changes: Mapping[str, Any] | None = None, *, dataset: str | None = None
) -> RunSpec:
    """Read the spec of a training run, whole and checked.

    Args:
        name: a preset (``"cifar10/resnet-20"``, ``"quickstart"``), a .toml file, such as a run's
            ``spec.toml``, or a network (``"resnet-20"``, ``"plain-56"``).
        changes: keys of the spec, dotted, and their values.
        dataset: the data set of the run; unset, a network is trained on CIFAR-10.

    Returns:
        The spec; a frozen object.

    Raises:
        UnknownNameError: nothing has that name, or there is no such data set.
        SpecError: a key or a value that cannot work, or a file that is none.

    Example:
        >>> import rescli
        >>> spec = rescli.spec("cifar10/resnet-20", {"optimizer.lr": 0.05, "iterations": 4000})
        >>> spec.name, spec.optimizer.lr, spec.iterations
        ('cifar10-resnet-20-seed0', 0.05, 4000)
        >>> rescli.spec("plain-56", dataset="shapes").name
        'shapes-plain-56-seed0'
    """
    given = str(name)
    overrides = list((changes or {}).items())
    if not _names_a_net(given):
        of_dataset = [("data.dataset", {"kind": dataset})] if dataset is not None else []
        return load_spec(given, [*of_dataset, *overrides])
    preset, chosen = choose_spec(Choice(model=given, dataset=dataset))
    if not overrides:
        return chosen
    net = [("model", chosen.model.model_dump(mode="json", exclude_none=True))]
    warmup = chosen.schedule.model_dump(mode="json", exclude_none=False)
    return load_spec(preset, [*net, ("schedule", warmup), *overrides])


def _names_a_net(name: str) -> bool:
    if name in preset_names() or name.endswith(".toml"):
        return False
    try:
        return parse_model_name(name)[0] in registry.names("models")
    except UnknownNameError:
        return False
