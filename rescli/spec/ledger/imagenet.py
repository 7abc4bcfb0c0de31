"""The ledger of photographs: a spec against the paper's ImageNet study (sections 3.3, 3.4 and 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

from rescli import paper
from rescli.plurals import counted, every
from rescli.spec.ledger.recipe import model_row, optimizer_rows, precision_row
from rescli.spec.ledger.row import LedgerRow, compare
from rescli.spec.photos import NATIVE_SIZE
from rescli.spec.run import RunSpec

__all__ = ["imagenet_rows"]


def imagenet_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    """Data, model, recipe and test, in the paper's order."""
    dataset, augment = spec.data.dataset, spec.data.augment
    is_imagenet = dataset.kind == "imagenet"
    yield LedgerRow("data.dataset", dataset.kind, "imagenet", "same" if is_imagenet else "beyond")
    if dataset.image_size != NATIVE_SIZE:
        yield compare("data.dataset.image_size", dataset.image_size, NATIVE_SIZE)
    if dataset.upright:
        yield LedgerRow("data.dataset.orientation", "upright", "-", "not stated", "published nets saw stored")
    yield compare("data.normalization", spec.data.normalization, "per-pixel-mean")
    yield compare("data.augment.shorter_side", augment.shorter_side, paper.SHORTER_SIDES)
    yield compare("data.augment.flip", augment.flip, True)
    yield compare("data.augment.color", augment.color, paper.COLOR_DEVIATION, "AlexNet's, reference [21]")
    if spec.data.skip_damaged:
        yield LedgerRow("data.skip_damaged", "True", "-", "not stated")
    yield from _model_rows(spec)
    yield from _recipe_rows(spec)
    yield precision_row(spec)
    of_paper = "ten crops; five scales for the best results"
    note = "the protocols ten-crop and multi-scale are the paper's"
    yield LedgerRow("val view", f"center{dataset.image_size}", of_paper, "differs", note)


def _recipe_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    schedule = spec.schedule.model_dump()
    yield compare("data.batch_size", spec.data.batch_size, paper.IMAGENET_BATCH_SIZE)
    note = f"scaled from {spec.scaled_from}: not comparable" if spec.scaled_from else "up to 60 x 10^4"
    yield compare("iterations", spec.iterations, paper.IMAGENET_ITERATIONS, note)
    yield from optimizer_rows(spec)
    yield compare("schedule.kind", schedule["kind"], "plateau")
    yield compare("schedule.gamma", schedule.get("gamma"), paper.GAMMA)
    if "patience" in schedule:
        here = f"{counted(schedule['patience'], 'evaluation')}, {every(spec.evaluation.every, 'iteration')}"
        yield LedgerRow("schedule.patience", here, "-", "not stated", "the paper: when the error plateaus")
    if spec.start_from is not None:
        yield LedgerRow("start_from", spec.start_from.sha256[:16], "from scratch", "differs")


def _model_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    model = spec.model.model_dump()
    depth = model.get("depth", 0)
    yield model_row(spec, {"resnet": paper.IMAGENET_DEPTHS, "plain": paper.IMAGENET_PLAIN_DEPTHS})
    if "family" in model:
        yield compare("model.family", model["family"], "imagenet")
    if "shortcut" in model:
        # Table 3 has B and C of 34 layers too: experiments of the paper, not its main nets.
        of_paper = paper.imagenet_shortcut(depth)
        note = "Table 3 compares A, B and C of 34 layers" if of_paper == "A" else ""
        yield compare("model.shortcut", model["shortcut"], of_paper, note)
    if "stride_on" in model and depth >= paper.BOTTLENECK_FROM_DEPTH:
        yield compare("model.stride_on", model["stride_on"], "1x1")
    if "width" in model:
        yield compare("model.width", model["width"], paper.IMAGENET_WIDTH)
    if "init_fan" in model:
        yield compare("model.init_fan", model["init_fan"], "in", "reference [13], forward case")
    if "block" in model:
        yield compare("model.block", model["block"]["kind"], paper.imagenet_block(depth))
