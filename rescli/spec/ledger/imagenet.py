"""The ledger of photographs: a spec against the paper's ImageNet study (sections 3.3, 3.4 and 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rescli.spec.ledger.row import LedgerRow, compare
from rescli.spec.run import RunSpec

__all__ = ["imagenet_rows"]

_PAPER_RESNETS = (18, 34, 50, 101, 152)
_PAPER_PLAIN = (18, 34)


def imagenet_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    """Data, model and recipe, in the paper's order."""
    dataset, augment = spec.data.dataset, spec.data.augment
    yield LedgerRow(
        "data.dataset", dataset.kind, "imagenet", "same" if dataset.kind == "imagenet" else "beyond"
    )
    yield compare("data.normalization", spec.data.normalization, "per-pixel-mean")
    yield compare("data.augment.shorter_side", augment.shorter_side, (256, 480))
    yield compare("data.augment.flip", augment.flip, True)
    yield compare("data.augment.color", augment.color, 0.1, "AlexNet's, reference [21]")
    if spec.data.skip_damaged:
        yield LedgerRow("data.skip_damaged", "True", "-", "not stated")
    yield from _model_rows(spec)
    yield compare("data.batch_size", spec.data.batch_size, 256)
    note = f"scaled from {spec.scaled_from}: not comparable" if spec.scaled_from else ""
    yield compare("iterations", spec.iterations, 600_000, note or "up to 60 x 10^4")
    optimizer, schedule = spec.optimizer.model_dump(), spec.schedule.model_dump()
    yield compare("optimizer.kind", optimizer["kind"], "sgd")
    for key, paper in (("lr", 0.1), ("momentum", 0.9), ("nesterov", False), ("weight_decay", 1e-4)):
        if key in optimizer:
            yield compare(f"optimizer.{key}", optimizer[key], paper)
    if "decay" in optimizer:
        yield LedgerRow("optimizer.decay", optimizer["decay"], "-", "not stated")
    yield compare("schedule.kind", schedule["kind"], "plateau")
    yield compare("schedule.gamma", schedule.get("gamma"), 0.1)
    if "patience" in schedule:
        here = f"{schedule['patience']} evaluations, every {spec.evaluation.every} iterations"
        yield LedgerRow("schedule.patience", here, "-", "not stated", "the paper: when the error plateaus")
    if spec.start_from is not None:
        yield LedgerRow("start_from", spec.start_from.sha256[:16], "from scratch", "differs")


def _model_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    model: dict[str, Any] = spec.model.model_dump()
    kind, depth = model.get("kind"), model.get("depth", 0)
    known = {"resnet": _PAPER_RESNETS, "plain": _PAPER_PLAIN}.get(str(kind), ())
    listed = f"{kind}: {', '.join(map(str, known))}" if known else "ResNets and plain nets"
    yield LedgerRow("model", spec.model.name, listed, "same" if depth in known else "beyond")
    if "family" in model:
        yield compare("model.family", model["family"], "imagenet")
    if "shortcut" in model:
        # Table 3 has B and C of 34 layers too: experiments of the paper, not its main nets.
        paper, note = ("B", "") if depth >= 50 else ("A", "Table 3 compares A, B and C of 34 layers")
        yield compare("model.shortcut", model["shortcut"], paper, note)
    if "stride_on" in model and depth >= 50:
        yield compare("model.stride_on", model["stride_on"], "1x1")
    if "width" in model:
        yield compare("model.width", model["width"], 64)
    if "init_fan" in model:
        yield compare("model.init_fan", model["init_fan"], "in", "reference [13], forward case")
    if "block" in model:
        yield compare("model.block", model["block"]["kind"], "bottleneck" if depth >= 50 else "basic")
