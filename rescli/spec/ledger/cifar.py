"""The ledger of small images: a spec against the paper's CIFAR-10 study (section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from rescli import paper
from rescli.plurals import counted, every
from rescli.spec.ledger.recipe import model_row, optimizer_rows, precision_row
from rescli.spec.ledger.row import LedgerRow, compare
from rescli.spec.run import RunSpec

__all__ = ["cifar_rows"]


def cifar_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    """Data, model, recipe and test, in the paper's order."""
    yield from _data_rows(spec)
    yield from _model_rows(spec)
    yield from _recipe_rows(spec)
    yield precision_row(spec)
    yield LedgerRow("test view", "single 32x32 view", "single 32x32 view", "same")


def _data_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    dataset, augment = spec.data.dataset, spec.data.augment
    is_cifar10 = dataset.kind == "cifar10"
    yield LedgerRow("data.dataset", dataset.kind, "cifar10", "same" if is_cifar10 else "beyond")
    if is_cifar10:
        sizes = dataset.sizes
        split, of_paper = f"{sizes['train']} / {sizes['val']}", " / ".join(map(str, paper.CIFAR_SPLIT))
        if sizes["val"]:
            yield compare("train / val images", split, of_paper, "the val images are not stated")
        else:
            note = "the text also says: trained on the training set, evaluated on the test set"
            yield LedgerRow("train / val images", split, of_paper, "not stated", note)
    yield compare("data.normalization", spec.data.normalization, "per-pixel-mean")
    yield compare("data.augment.pad", augment.pad, paper.PAD)
    yield compare("data.augment.flip", augment.flip, True)


def _model_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    model = spec.model.model_dump()
    yield model_row(spec, {"resnet": paper.CIFAR_DEPTHS, "plain": paper.CIFAR_PLAIN_DEPTHS})
    for key, of_paper, note in (
        ("family", "cifar", ""),
        ("shortcut", "A", "option A in all CIFAR cases"),
        ("width", paper.CIFAR_WIDTH, ""),
        ("init_fan", "in", "reference [13], forward case"),
    ):
        if key in model:
            yield compare(f"model.{key}", model[key], of_paper, note)
    if "block" in model:
        yield compare("model.block", model["block"]["kind"], "basic")


def _recipe_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    optimizer, schedule = spec.optimizer.model_dump(), spec.schedule.model_dump()
    yield compare("data.batch_size", spec.data.batch_size, paper.CIFAR_BATCH_SIZE)
    yield LedgerRow(
        "batch norm over",
        counted(spec.data.batch_size, "image"),
        f"{paper.CIFAR_NORM_BATCH_SIZE} images",
        "same" if spec.data.batch_size == paper.CIFAR_NORM_BATCH_SIZE else "differs",
        "128 on two GPUs; each normalises its own half",
    )
    note = (
        f"scaled from {spec.scaled_from}: not comparable with published numbers" if spec.scaled_from else ""
    )
    yield compare("iterations", spec.iterations, paper.CIFAR_ITERATIONS, note)
    yield from optimizer_rows(spec)
    if optimizer["kind"] == "sgd":
        note = "Caffe: v = m v + lr g; the two differ for a few iterations after each change of lr"
        yield LedgerRow("momentum's form", "v = m v + g", "-", "not stated", note)
    if schedule["kind"] == "multistep":
        yield compare("schedule.milestones", tuple(schedule["milestones"]), paper.CIFAR_MILESTONES)
        yield compare("schedule.gamma", schedule["gamma"], paper.GAMMA)
    else:
        yield compare("schedule.kind", schedule["kind"], "multistep")
    yield _warmup_row(spec)


def _warmup_row(spec: RunSpec) -> LedgerRow:
    depth, warmup = spec.model.model_dump().get("depth", 0), spec.schedule.model_dump().get("warmup")
    here = _warmup(warmup["factor"], warmup["until_train_error"]) if warmup else "none"
    of_paper = (
        _warmup(paper.WARMUP_FACTOR, paper.WARMUP_UNTIL_TRAIN_ERROR) if paper.warms_up(depth) else "none"
    )
    note = f"read {every(spec.metrics.every, 'iteration')}" if warmup else ""
    return compare("schedule.warmup", here, of_paper, note)


def _warmup(factor: float, until_train_error: float) -> str:
    return f"{factor:g} lr until {until_train_error:g} % train error"
