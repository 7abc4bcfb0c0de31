"""A spec by name: a preset, a file, or a network on a data set; and what training by it would do."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rescli import registry
from rescli.errors import UnknownNameError
from rescli.models.naming import parse_model_name
from rescli.plan import make_plan
from rescli.spec.from_names import Choice, begun_spec, choose_spec
from rescli.spec.load import load_spec, preset_names, require_start
from rescli.spec.run import RunSpec
from rescli.spec.warm_start import WarmStart
from rescli.workflows.notes import with_notes
from rescli.workflows.results.planned_run import PlannedRun
from rescli.workflows.running.rehearsal import Rehearsal, rehearse

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey

__all__ = ["dry_run", "spec"]

_log = logging.getLogger(__name__)

_WIDE, _NARROW = 128, 64
"""Sides of images, in pixels: from which on the CIFAR family is out of place, below which the other is."""


@with_notes
def spec(
    name: str | os.PathLike[str],
    changes: Mapping[str, Any] | None = None,
    *,
    dataset: str | None = None,
    start_from: str | os.PathLike[str] | None = None,
) -> RunSpec:
    """Read the spec of a training run, whole and checked.

    Args:
        name: a preset (``"cifar10/resnet-20"``, ``"quickstart"``), a .toml file, such as a run's
            ``spec.toml``, or a network (``"resnet-20"``, ``"plain-56"``).
        changes: keys of the spec, dotted, and their values.
        dataset: the data set of the run; unset, a network is trained on CIFAR-10.
        start_from: a checkpoint or a run directory whose weights the run begins with, for fine-tuning; the
            network is that of the checkpoint unless ``name`` or ``changes`` say another, and so are the size
            and orientation of photographs.

    Returns:
        The spec; a frozen object.

    Raises:
        UnknownNameError: nothing has that name, or there is no such data set.
        SpecError: a key or a value that cannot work, a file that is none, or a recipe for fine-tuning without
            ``start_from``.
        CheckpointError: there is no such checkpoint to begin with, it is damaged, or its weights have no
            place in the net.

    Example:
        >>> import rescli
        >>> spec = rescli.spec("cifar10/resnet-20", {"optimizer.lr": 0.05, "iterations": 4000})
        >>> spec.name, spec.optimizer.lr, spec.iterations
        ('cifar10-resnet-20-seed0', 0.05, 4000)
        >>> rescli.spec("plain-56", dataset="shapes").name
        'shapes-plain-56-seed0'
    """
    given = os.fspath(name)
    overrides = list((changes or {}).items())
    begun = _start(start_from)
    overrides += [("start_from", begun.as_section())] if begun else []
    if not _names_a_net(given):
        of_dataset = [("data.dataset", {"kind": dataset})] if dataset is not None else []
        require_start(given, overrides)
        if begun is None:
            return load_spec(given, [*of_dataset, *overrides])
        return begun_spec(given, [*of_dataset, ("model", begun.model)], overrides, begun)
    preset, chosen = choose_spec(Choice(model=given, dataset=dataset))
    if not overrides:
        return chosen
    net = [("model", chosen.model.model_dump(mode="json", exclude_none=True))]
    warmup = chosen.schedule.model_dump(mode="json", exclude_none=False)
    named = [*net, ("schedule", warmup)]
    if begun is None:
        return load_spec(preset, [*named, *overrides])
    return begun_spec(preset, named, overrides, begun)


@with_notes
def dry_run(
    of: RunSpec | str | os.PathLike[str],
    *,
    data_root: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_survey: Callable[[Survey], None] | None = None,
    rehearsal: Rehearsal | None = None,
) -> PlannedRun:
    """Plan a training without beginning it; no torch is imported.

    Args:
        of: what ``rescli.spec`` gives, or a name for it.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache. Only a data set whose
            sizes its files tell looks there.
        progress: called now and then with (photographs looked at, of all).
        on_survey: called with what a folder of photographs holds, before anything in it is refused.
        rehearsal: where it would be trained: all that a training there would refuse before its first
            iteration is refused; torch may be imported for that. None for the plan alone.

    Returns:
        The plan, which ``rescli.train`` takes in place of a spec.

    Raises:
        SpecError: a key or a value that cannot work, such as milestones in the wrong order.
        DataError: the data set is one that has to be looked at, and it is not there, or is such that no net
            can be trained on it.

    Example:
        >>> from rescli.workflows.spec import dry_run
        >>> planned = dry_run("he2015/resnet-20")
        >>> planned.plan.lr_changes()
        [(0, 0.1), (32000, 0.01), (48000, 0.001)]
        >>> [row.field for row in planned.ledger if row.verdict == "differs"]
        ['batch norm over', 'precision']
    """
    named = of if isinstance(of, RunSpec) else spec(of)
    whole, survey = named.surveyed(Path(data_root) if data_root is not None else None, progress)
    if survey is not None:
        if on_survey is not None:
            on_survey(survey)
        survey.require_trainable()
    if (mismatch := _family_mismatch(whole)) is not None:
        _log.warning("%s", mismatch)
    planned = PlannedRun(whole, make_plan(whole), survey)
    if rehearsal is not None:
        rehearse(whole, rehearsal)
    return planned


def _family_mismatch(spec: RunSpec) -> str | None:
    """What a net costs or loses that is not of the family for such images; None where it is."""
    size, family = spec.data.dataset.image_size, getattr(spec.model, "family", None)
    layout = spec.model.layout(num_classes=spec.data.dataset.num_classes, image_size=size)
    if layout is None:
        return None
    if family == "cifar" and size >= _WIDE:
        return (
            f"{spec.model.name} of the CIFAR family takes {layout.macs / 1e6:,.0f} M multiply-adds for an "
            f"image of {size}x{size}: it is for images of 32 to 64 pixels (data.dataset.image_size), as the "
            "ImageNet family is for larger ones (model.family)."
        )
    if family == "imagenet" and size < _NARROW:
        return (
            f"{spec.model.name} of the ImageNet family reduces an image of {size}x{size} to a single place: "
            "it is for images of 64 pixels or more, as the CIFAR family is for smaller ones (model.family)."
        )
    return None


def _start(checkpoint: str | os.PathLike[str] | None) -> WarmStart | None:
    if checkpoint is None:
        return None
    from rescli.checkpoints.header import warm_start_from
    from rescli.checkpoints.locate import named_checkpoint

    return warm_start_from(named_checkpoint(Path(checkpoint)))


def _names_a_net(name: str) -> bool:
    if name in preset_names() or name.endswith(".toml"):
        return False
    try:
        return parse_model_name(name)[0] in registry.names("models")
    except UnknownNameError:
        return False
