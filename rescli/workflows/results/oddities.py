"""What is out of the ordinary in a planned run, and settings that would make it ordinary. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any

from rescli.checkpoints.header import read_metadata
from rescli.checkpoints.metadata import CheckpointMetadata
from rescli.hardware.launcher import num_ranks
from rescli.plan import TrainPlan
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.photos import PhotoSetSpec, is_crop_size
from rescli.spec.run import RunSpec
from rescli.spec.warm_start import WarmStart, differences_of_nets

__all__ = ["Oddity", "oddities"]

_MANY_EPOCHS, _USUAL_EPOCHS = 1000, 200
"""The paper's CIFAR recipe is 182 epochs. Above the first number a plan was made for a larger set."""

_FEW_ITERATIONS = 500
"""So many cost little, whatever they are in epochs."""

_FEW_VAL = 10

_LAST_MILESTONE = 0.75
"""Part of the course after which the paper's learning rate falls for the last time."""


@dataclass(frozen=True)
class Oddity:
    """A sentence on the plan, and the settings that would mend it, all of them together."""

    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """The settings, each to be worded as a flag or an argument."""
        return tuple(starmap(Remedy, self.settings.items()))

    def __str__(self) -> str:
        return self.text


def oddities(spec: RunSpec, plan: TrainPlan, *, shortened: bool = False) -> Iterator[Oddity]:
    """All that somebody should know of a plan before its first iteration.

    Args:
        spec: whole, with the sizes that only the files tell.
        plan: of that spec.
        shortened: whether a budget will choose the iterations.
    """
    yield from _of_weights(spec)
    yield from _of_batches(plan)
    yield from _of_validation(spec, plan)
    if not shortened:
        yield from _of_epochs(spec, plan)
        yield from _of_milestones(spec, plan)


def _of_weights(spec: RunSpec) -> Iterator[Oddity]:
    """What is other than it was when the weights that the run begins with were trained."""
    if spec.start_from is None:
        return
    said: CheckpointMetadata = read_metadata(Path(spec.start_from.checkpoint)) or {}
    start = WarmStart(
        spec.start_from.checkpoint, "", model=said.get("model") or {}, dataset=said.get("dataset") or {}
    )
    if (net := start.net) is not None and (differ := list(differences_of_nets(net, spec.model))):
        yield Oddity(
            f"the weights to begin with are of another net, {net.name}, into whose place they fit: "
            f"{', '.join(differ)}"
        )
    ours, theirs = spec.data.dataset, start.images
    if theirs is not None and theirs.image_size != ours.image_size:
        same = {"data.dataset.image_size": theirs.image_size}
        yield Oddity(
            f"the weights to begin with were trained on images of {theirs.image_size} pixels, and these are "
            f"of {ours.image_size}",
            same if isinstance(ours, PhotoSetSpec) and is_crop_size(theirs.image_size) else {},
        )
    before, here = getattr(theirs, "orientation", None), getattr(ours, "orientation", None)
    if None not in (before, here) and before != here:
        yield Oddity(
            f"the weights to begin with were trained on images of orientation {before}, and "
            f"here it is {here}",
            {"data.dataset.orientation": before},
        )
    scheme = said.get("normalization")
    kind = scheme["kind"] if scheme is not None else None
    if kind is not None and kind != spec.data.normalization:
        yield Oddity(
            f"images are normalised as the weights to begin with need it, {kind}, not "
            f"{spec.data.normalization} as the spec has it",
            {"data.normalization": kind},
        )


def _of_batches(plan: TrainPlan) -> Iterator[Oddity]:
    batch, images = plan.batch_size, plan.num_train
    if batch > images:
        yield Oddity(
            f"a batch of {batch} is larger than the training part of {images}: batches run on from epoch to "
            f"epoch, so an iteration is {batch / images:.1f} epochs, with the same images more than once"
        )
    if batch == num_ranks():
        yield Oddity(
            "batch normalisation takes its mean and variance from one image at a time; the net is evaluated "
            "by their running averages, which may be far from any one image's",
            {"data.batch_size": 16 * num_ranks()},
        )


def _of_validation(spec: RunSpec, plan: TrainPlan) -> Iterator[Oddity]:
    dataset, val = spec.data.dataset, plan.num_val
    if val == 0 and getattr(dataset, "val_size", 0) is None:
        yield Oddity(
            f"no validation part: a tenth of {counted(plan.num_train, 'image')} is none. No error is "
            "measured on images that were not trained on, and the last weights count as the best",
            {"data.dataset.val_size": max(1, plan.num_train // 4)} if plan.num_train > 1 else {},
        )
    elif 0 < val < _FEW_VAL:
        images = counted(val, "image")
        yield Oddity(f"the validation part has {images}: one image is {100 / val:.0f} % of its error")


def _of_epochs(spec: RunSpec, plan: TrainPlan) -> Iterator[Oddity]:
    epochs = plan.epoch(plan.total_steps)
    if epochs <= _MANY_EPOCHS or plan.total_steps <= _FEW_ITERATIONS:
        return
    usual = max(_FEW_ITERATIONS, -(-_USUAL_EPOCHS * plan.num_train // plan.batch_size))
    before, after = spec.to_dict(), spec.scaled(usual).to_dict()
    after.pop("scaled_from", None)
    yield Oddity(
        f"{plan.total_steps:,} iterations of {counted(plan.batch_size, 'image')} are {epochs:,.0f} epochs of "
        f"the {counted(plan.num_train, 'training image')}; the same course in {usual:,} iterations is "
        f"{plan.epoch(usual):,.0f} epochs",
        dict(_changes(before, after)),
    )


def _of_milestones(spec: RunSpec, plan: TrainPlan) -> Iterator[Oddity]:
    """Milestones that were meant for a longer run: the learning rate does not fall before its end."""
    given = getattr(spec.schedule, "milestones", None)
    if not given or plan.total_steps <= _FEW_ITERATIONS or given[-1] < plan.total_steps:
        return
    late = ", ".join(f"{step:,}" for step in given if step >= plan.total_steps)
    fitting = [round(_LAST_MILESTONE * plan.total_steps * step / given[-1]) for step in given]
    yield Oddity(
        f"the run ends at {plan.total_steps:,} iterations, before the learning rate falls at {late}",
        {"schedule.milestones": tuple(fitting)} if len({0, *fitting}) > len(given) else {},
    )


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            yield from _changes(old, value, f"{prefix}{key}.")
        elif value != old:
            yield f"{prefix}{key}", value
