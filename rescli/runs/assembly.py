"""Where specs become objects: data on the device, a model, an optimizer, a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.warm_start import Head, begin_with, build_net, head_of, read_start
from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.errors import UsageError
from rescli.evaluation.epoch import evaluate
from rescli.evaluation.protocols import Protocol, default_protocol
from rescli.hardware.numerics import Numerics, choose_device, choose_precision, use_threads
from rescli.hardware.ranks import ALONE, Ranks, join_ranks, rank_device
from rescli.kernels.choice import use_kernels
from rescli.plan import TrainPlan, make_plan
from rescli.remedy import Remedy
from rescli.runs.loading import Loader, make_loader, read_images
from rescli.runs.stored_record import StartRecord
from rescli.runs.where import Where
from rescli.spec.run import RunSpec
from rescli.training.engines.choose import (
    PLAIN,
    Chosen,
    ChosenKernels,
    check_engine,
    choose_engine,
    choose_kernels,
)
from rescli.training.events import EvalResult
from rescli.training.state import TrainState

__all__ = [
    "Assembly",
    "assemble",
    "check_statistics",
    "numerics_for",
]

_COURSE = {"iterations", "schedule", "evaluation", "checkpoint", "metrics", "scaled_from"}
"""Keys of a spec that say when something happens, and not to what."""

_ANYWHERE = Where()


@dataclass(frozen=True, eq=False)
class Assembly:
    """The parts of one run that stay as they are while it trains.

    Attributes:
        spec: what is trained.
        plan: when everything happens.
        where: what was asked of the machine; ``where.engine`` is a wish until there is a state.
        numerics: the device and the precision that were chosen.
        train_set: the images that are trained on.
        val_set: the images that are set aside; None where there are none.
        normalization: what is subtracted from the images, and what they are divided by.
        loader: the augmented batches.
        kernels: what normalises and adds between convolutions, and gathers batches.
        ranks: the processes that train it together.
        start: the checkpoint whose weights the run begins with.
        skipped_val: names of the damaged validation images that evaluations left out.
        head: what became of that checkpoint's last layer.
    """

    spec: RunSpec
    plan: TrainPlan
    where: Where
    numerics: Numerics
    train_set: LabelledImages
    val_set: LabelledImages | None
    normalization: Normalization
    loader: Loader
    kernels: ChosenKernels = PLAIN
    ranks: Ranks = ALONE
    start: Checkpoint | None = None
    skipped_val: set[str] = field(default_factory=set)
    head: Head | None = None

    @property
    def data_root(self) -> Path | None:
        """Where the images were read, as it was given; None for the usual places."""
        return self.where.data_root

    @property
    def start_record(self) -> StartRecord | None:
        """What the record says of the weights that the run begins with; None where the seed draws them."""
        start = self.spec.start_from
        if start is None or self.head is None:
            return None
        return {"checkpoint": start.checkpoint, "sha256": start.sha256, "head": self.head.fate}

    def rescheduled(self, spec: RunSpec) -> Assembly:
        """The same parts for a spec that differs in its course alone, as a budget shortens it."""
        others = RunSpec.model_fields.keys() - _COURSE
        changed = sorted(key for key in others if getattr(spec, key) != getattr(self.spec, key))
        assert not changed, f"these parts were made for another spec: {', '.join(changed)}"
        return replace(self, spec=spec, plan=make_plan(spec))

    def new_state(self) -> TrainState:
        """The initial state, a pure function of the spec.

        Raises:
            CheckpointError: the weights to begin with fit the network nowhere.
        """
        device = self.numerics.device
        model = build_net(self.spec)
        if self.start is not None and self.spec.start_from is not None:
            path = self.spec.start_from.checkpoint
            begin_with(model, self.start, self.train_set.class_names, path=path)
        use_kernels(model, self.kernels.name, self.kernels.convolutions)
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return TrainState(
            model=model.train(),
            optimizer=self.spec.optimizer.build(model),
            ring=torch.zeros(self.spec.metrics.every, 2, device=device),
        )

    def choose_engine(self, state: TrainState) -> Chosen:
        """The engine that advances ``state``.

        Raises:
            UsageError: the engine asked for does not work here.
        """
        return choose_engine(self.where.engine or "auto", state, self.loader, self.numerics, self.ranks)

    def evaluate_val(
        self,
        model: torch.nn.Module,
        *,
        forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
        should_stop: Callable[[], bool] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> EvalResult | None:
        """Evaluate the validation part, by its single view.

        Args:
            model: the network.
            forward: what gives its logits, faster than a call of it; None for a call.
            should_stop: asked before every batch. Several ranks end the pass: they would have to agree
                before each batch.
            progress: called after every batch with (images done, images in all).

        Returns:
            Errors and loss; None where ``should_stop`` said yes.

        Raises:
            DataError: an image is damaged, and none is to be skipped.
        """
        assert self.val_set is not None, "the plan holds no evaluation without a validation part"
        return evaluate(
            model,
            self.val_set,
            self.normalization,
            batch_size=self.val_set.evaluation_batch_size,
            numerics=self.numerics,
            views=self.protocol.views(self.spec.data.dataset),
            ranks=self.ranks,
            forward=forward,
            should_stop=should_stop if self.ranks.size == 1 else None,
            skipped=self.skipped_val if self.spec.data.skip_damaged else None,
            progress=progress,
        )

    @property
    def waited_seconds(self) -> Callable[[], float] | None:
        """A function that says how many seconds steps have waited for images; None where none can wait."""
        loader = self.loader
        return None if loader.waited_seconds is None else lambda: loader.waited_seconds or 0.0

    @property
    def protocol(self) -> Protocol:
        """The protocol of the validation part."""
        return default_protocol(self.spec.data.dataset)


def assemble(
    spec: RunSpec,
    where: Where = _ANYWHERE,
    *,
    plan: TrainPlan | None = None,
    numerics: Numerics | None = None,
) -> Assembly:
    """Read the training and validation parts; the test part stays sealed.

    Args:
        spec: what is to be trained.
        where: the device, the place of the images, the engine and the kernels.
        plan: of this spec, where it was made already.
        numerics: the device and the precision, where they are known already; else ``where`` and the spec say.

    Raises:
        DataError: files missing or damaged.
        UsageError: the training images do not fit on the device, or the kernels do not work here.
        CheckpointError: the weights to begin with are missing, or other ones.
    """
    if numerics is None:
        numerics = numerics_for(spec, where.device)
        if where.threads is not None and numerics.device.type == "cpu":
            use_threads(where.threads)
    engine = where.engine or "auto"
    numerics.configure_backend()
    check_engine(engine, numerics)
    kernels = choose_kernels(
        where.kernels or "auto", numerics, engine=engine, convolutions=where.convolutions
    )
    ranks = join_ranks(numerics.device)
    share = ranks.share(spec.data.batch_size)
    check_statistics(spec, ranks)
    start = read_start(spec.start_from) if spec.start_from is not None else None
    names = spec.data.dataset.class_names
    # Refused before the images are read, which may take long, where the classes are known; and never later
    # than before the run has begun.
    head = head_of(spec, start, names) if start is not None and names is not None else None
    images = read_images(spec, where.data_root, ranks, measured=start is None)
    train_set, normalization = images.train_set, images.normalization
    if start is not None:
        head = head or head_of(spec, start, train_set.class_names)
        normalization = start.normalization
    assert normalization is not None, "it was measured, or came with the weights"
    loader = make_loader(train_set, normalization, spec, numerics, where.workers, share, kernels=kernels.name)
    loader.damaged |= images.skipped
    return Assembly(
        spec=spec,
        plan=plan or make_plan(spec),
        where=where,
        numerics=numerics,
        train_set=train_set,
        val_set=images.val_set,
        normalization=normalization,
        loader=loader,
        kernels=kernels,
        ranks=ranks,
        start=start,
        head=head,
    )


def numerics_for(spec: RunSpec, device: str) -> Numerics:
    """The device by name, and the precision that the spec asks for there.

    Raises:
        UsageError: the device is not there, or has no such precision.
    """
    chosen = choose_device(rank_device(device))
    return Numerics(chosen, choose_precision(spec.precision, chosen))


def check_statistics(spec: RunSpec, ranks: Ranks) -> None:
    """Refuse batches of one image where a map of the network is one number: it has no variance.

    Raises:
        UsageError: they are of one image.
    """
    dataset = spec.data.dataset
    layout = spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
    if layout is None or spec.data.batch_size > ranks.size:
        return
    smallest = min(row.output_size for row in layout.rows[:-1])
    if smallest == 1:
        raise UsageError(
            f"batches of one image cannot be normalised: the last maps of {spec.model.name} on images of "
            f"{dataset.image_size}x{dataset.image_size} have one value a channel.",
            remedy=Remedy("data.batch_size", 2 * ranks.size),
        )
