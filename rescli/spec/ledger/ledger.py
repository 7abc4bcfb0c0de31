"""The fidelity ledger: a spec held against the paper, field by field.

Source: arXiv:1512.03385v1, section 4.2 (CIFAR-10) unless a row says otherwise.
"""

from __future__ import annotations

from typing import Any

from rescli.spec.ledger.imagenet import imagenet_rows
from rescli.spec.ledger.row import LedgerRow, Verdict, compare
from rescli.spec.run import RunSpec

__all__ = ["LedgerRow", "Verdict", "differences", "ledger"]

PAPER_RESNETS = (20, 32, 44, 56, 110, 1202)
PAPER_PLAIN = (20, 32, 44, 56, 110)


def differences(rows: list[LedgerRow]) -> list[LedgerRow]:
    """The rows where this spec is not the paper."""
    return [row for row in rows if row.verdict in ("differs", "beyond")]


def ledger(spec: RunSpec) -> list[LedgerRow]:
    """Every choice of the CIFAR-10 study, or of photographs of the ImageNet study, in the paper's order."""
    if spec.data.dataset.any_size:
        return [*imagenet_rows(spec), *_other_rows(spec)]
    return [*_data_rows(spec), *_model_rows(spec), *_recipe_rows(spec), *_other_rows(spec)]


def _data_rows(spec: RunSpec) -> list[LedgerRow]:
    dataset, augment = spec.data.dataset, spec.data.augment
    sizes = dataset.sizes
    rows = [
        LedgerRow("data.dataset", dataset.kind, "cifar10", "same" if dataset.kind == "cifar10" else "beyond")
    ]
    if dataset.kind == "cifar10":
        split = f"{sizes['train']} / {sizes['val']}"
        if sizes["val"]:
            rows.append(compare("train / val images", split, "45000 / 5000", "the val images are not stated"))
        else:
            note = "the text also says: trained on the training set, evaluated on the test set"
            rows.append(LedgerRow("train / val images", split, "45000 / 5000", "not stated", note))
    rows += [
        compare("data.normalization", spec.data.normalization, "per-pixel-mean"),
        compare("data.augment.pad", augment.pad, 4),
        compare("data.augment.flip", augment.flip, True),
    ]
    return rows


def _model_rows(spec: RunSpec) -> list[LedgerRow]:
    model = spec.model.model_dump()
    kind, depth = model.get("kind"), model.get("depth")
    known = {"resnet": PAPER_RESNETS, "plain": PAPER_PLAIN}.get(str(kind), ())
    rows = [
        LedgerRow(
            "model",
            spec.model.name,
            f"{kind}: {', '.join(map(str, known))}" if known else "ResNets and plain nets",
            "same" if depth in known else "beyond",
        )
    ]
    for key, paper, note in (
        ("family", "cifar", ""),
        ("shortcut", "A", "option A in all CIFAR cases"),
        ("width", 16, ""),
        ("init_fan", "in", "reference [13], forward case"),
    ):
        if key in model:
            rows.append(compare(f"model.{key}", model[key], paper, note))
    if "block" in model:
        rows.append(compare("model.block", model["block"]["kind"], "basic"))
    return rows


def _recipe_rows(spec: RunSpec) -> list[LedgerRow]:
    optimizer, schedule = spec.optimizer.model_dump(), spec.schedule.model_dump()
    rows = [
        compare("data.batch_size", spec.data.batch_size, 128),
        LedgerRow(
            "batch norm over",
            f"{spec.data.batch_size} images",
            "64 images",
            "same" if spec.data.batch_size == 64 else "differs",
            "128 on two GPUs; each normalises its own half",
        ),
        compare("iterations", spec.iterations, 64000, _scaled_note(spec)),
        compare("optimizer.kind", optimizer["kind"], "sgd"),
    ]
    for key, paper in (("lr", 0.1), ("momentum", 0.9), ("nesterov", False), ("weight_decay", 1e-4)):
        if key in optimizer:
            rows.append(compare(f"optimizer.{key}", optimizer[key], paper))
    if "decay" in optimizer:
        rows.append(LedgerRow("optimizer.decay", optimizer["decay"], "-", "not stated"))
    if optimizer["kind"] == "sgd":
        note = "Caffe: v = m v + lr g; the two differ for a few iterations after each change of lr"
        rows.append(LedgerRow("momentum's form", "v = m v + g", "-", "not stated", note))
    if schedule["kind"] == "multistep":
        rows.append(compare("schedule.milestones", tuple(schedule["milestones"]), (32000, 48000)))
        rows.append(compare("schedule.gamma", schedule["gamma"], 0.1))
    else:
        rows.append(compare("schedule.kind", schedule["kind"], "multistep"))
    rows.append(_warmup_row(spec, schedule.get("warmup")))
    return rows


def _warmup_row(spec: RunSpec, warmup: dict[str, Any] | None) -> LedgerRow:
    depth = spec.model.model_dump().get("depth", 0)
    here = (
        f"{warmup['factor']:g} lr until {warmup['until_train_error']:g} % train error" if warmup else "none"
    )
    paper = "0.1 lr until 80 % train error" if depth >= 110 else "none"
    note = f"read every {spec.metrics.every} iterations" if warmup else ""
    return compare("schedule.warmup", here, paper, note)


def _other_rows(spec: RunSpec) -> list[LedgerRow]:
    fp32 = spec.precision == "fp32"
    view = LedgerRow("test view", "single 32x32 view", "single 32x32 view", "same")
    if spec.data.dataset.any_size:
        paper = "ten crops; five scales for the best results"
        view = LedgerRow("val view", "center224", paper, "differs", "rescli eval --ten-crop, --multi-scale")
    note = "bf16 convolutions; parameters, statistics, logits and loss in fp32" if not fp32 else ""
    return [
        LedgerRow("precision", spec.precision, "fp32", "same" if fp32 else "differs", note),
        view,
        LedgerRow("checkpoint", "last, and best on val", "-", "not stated", "every number says which"),
    ]


def _scaled_note(spec: RunSpec) -> str:
    return (
        f"scaled from {spec.scaled_from}: not comparable with published numbers" if spec.scaled_from else ""
    )
