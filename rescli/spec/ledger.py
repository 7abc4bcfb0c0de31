"""The fidelity ledger: a spec held against the paper, field by field.

Source: arXiv:1512.03385v1, section 4.2 (CIFAR-10) unless a row says otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rescli.spec.run import RunSpec

__all__ = ["LedgerRow", "Verdict", "differences", "ledger"]

Verdict = Literal["same", "differs", "not stated", "beyond"]
"""``not stated``: the paper leaves it open. ``beyond``: the paper has no such experiment."""

PAPER_RESNETS = (20, 32, 44, 56, 110, 1202)
PAPER_PLAIN = (20, 32, 44, 56, 110)


@dataclass(frozen=True)
class LedgerRow:
    """One choice: what this spec says, what the paper says, and whether they agree."""

    field: str
    here: str
    paper: str
    verdict: Verdict
    note: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def differences(rows: list[LedgerRow]) -> list[LedgerRow]:
    """The rows where this spec is not the paper."""
    return [row for row in rows if row.verdict in ("differs", "beyond")]


def ledger(spec: RunSpec) -> list[LedgerRow]:
    """Every choice of the CIFAR-10 study, in the paper's order: data, model, recipe, testing."""
    return [*_data_rows(spec), *_model_rows(spec), *_recipe_rows(spec), *_other_rows(spec)]


def _compare(field: str, here: Any, paper: Any, note: str = "") -> LedgerRow:
    return LedgerRow(field, _text(here), _text(paper), "same" if here == paper else "differs", note)


def _data_rows(spec: RunSpec) -> list[LedgerRow]:
    dataset, augment = spec.data.dataset, spec.data.augment
    sizes = dataset.sizes
    rows = [
        LedgerRow("data.dataset", dataset.kind, "cifar10", "same" if dataset.kind == "cifar10" else "beyond")
    ]
    if dataset.kind == "cifar10":
        split = f"{sizes['train']} / {sizes['val']}"
        if sizes["val"]:
            rows.append(
                _compare("train / val images", split, "45000 / 5000", "the val images are not stated")
            )
        else:
            note = "the text also says: trained on the training set, evaluated on the test set"
            rows.append(LedgerRow("train / val images", split, "45000 / 5000", "not stated", note))
    rows += [
        _compare("data.normalization", spec.data.normalization, "per-pixel-mean"),
        _compare("data.augment.pad", augment.pad, 4),
        _compare("data.augment.flip", augment.flip, True),
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
            rows.append(_compare(f"model.{key}", model[key], paper, note))
    if "block" in model:
        rows.append(_compare("model.block", model["block"]["kind"], "basic"))
    return rows


def _recipe_rows(spec: RunSpec) -> list[LedgerRow]:
    optimizer, schedule = spec.optimizer.model_dump(), spec.schedule.model_dump()
    rows = [
        _compare("data.batch_size", spec.data.batch_size, 128),
        LedgerRow(
            "batch norm over",
            f"{spec.data.batch_size} images",
            "64 images",
            "same" if spec.data.batch_size == 64 else "differs",
            "128 on two GPUs; each normalises its own half",
        ),
        _compare("iterations", spec.iterations, 64000, _scaled_note(spec)),
        _compare("optimizer.kind", optimizer["kind"], "sgd"),
    ]
    for key, paper in (("lr", 0.1), ("momentum", 0.9), ("nesterov", False), ("weight_decay", 1e-4)):
        if key in optimizer:
            rows.append(_compare(f"optimizer.{key}", optimizer[key], paper))
    if "decay" in optimizer:
        rows.append(LedgerRow("optimizer.decay", optimizer["decay"], "-", "not stated"))
    if optimizer["kind"] == "sgd":
        note = "Caffe: v = m v + lr g; the two differ for a few iterations after each change of lr"
        rows.append(LedgerRow("momentum's form", "v = m v + g", "-", "not stated", note))
    if schedule["kind"] == "multistep":
        rows.append(_compare("schedule.milestones", tuple(schedule["milestones"]), (32000, 48000)))
        rows.append(_compare("schedule.gamma", schedule["gamma"], 0.1))
    else:
        rows.append(_compare("schedule.kind", schedule["kind"], "multistep"))
    rows.append(_warmup_row(spec, schedule.get("warmup")))
    return rows


def _warmup_row(spec: RunSpec, warmup: dict[str, Any] | None) -> LedgerRow:
    depth = spec.model.model_dump().get("depth", 0)
    here = (
        f"{warmup['factor']:g} lr until {warmup['until_train_error']:g} % train error" if warmup else "none"
    )
    paper = "0.1 lr until 80 % train error" if depth >= 110 else "none"
    note = f"read every {spec.metrics.every} iterations" if warmup else ""
    return _compare("schedule.warmup", here, paper, note)


def _other_rows(spec: RunSpec) -> list[LedgerRow]:
    fp32 = spec.precision == "fp32"
    note = "bf16 convolutions; parameters, statistics, logits and loss in fp32" if not fp32 else ""
    return [
        LedgerRow("precision", spec.precision, "fp32", "same" if fp32 else "differs", note),
        LedgerRow("test view", "single 32x32 view", "single 32x32 view", "same"),
        LedgerRow("checkpoint", "last, and best on val", "-", "not stated", "every number says which"),
    ]


def _scaled_note(spec: RunSpec) -> str:
    return (
        f"scaled from {spec.scaled_from}: not comparable with published numbers" if spec.scaled_from else ""
    )


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
