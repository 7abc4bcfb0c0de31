"""Rows that the ledgers of both studies have: the net's depth, the optimizer, the precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rescli import paper
from rescli.spec.ledger.row import LedgerRow, compare
from rescli.spec.run import RunSpec

__all__ = ["model_row", "optimizer_rows", "precision_row"]


def model_row(spec: RunSpec, depths: Mapping[str, tuple[int, ...]]) -> LedgerRow:
    """Whether the paper has this net.

    Args:
        spec: the run.
        depths: kind of net to the depths that the study has of it.
    """
    model = spec.model.model_dump()
    kind = str(model.get("kind"))
    known = depths.get(kind, ())
    listed = f"{kind}: {', '.join(map(str, known))}" if known else "ResNets and plain nets"
    return LedgerRow("model", spec.model.name, listed, "same" if model.get("depth") in known else "beyond")


def optimizer_rows(spec: RunSpec) -> Iterator[LedgerRow]:
    """The optimizer's kind and numbers, which are the same in both studies (sections 3.4 and 4.2)."""
    optimizer = spec.optimizer.model_dump()
    yield compare("optimizer.kind", optimizer["kind"], "sgd")
    for key, of_paper in (
        ("lr", paper.LR),
        ("momentum", paper.MOMENTUM),
        ("nesterov", False),
        ("weight_decay", paper.WEIGHT_DECAY),
    ):
        if key in optimizer:
            yield compare(f"optimizer.{key}", optimizer[key], of_paper)
    if "decay" in optimizer:
        yield LedgerRow("optimizer.decay", optimizer["decay"], "-", "not stated")


def precision_row(spec: RunSpec) -> LedgerRow:
    """The precision of the convolutions; the paper's is that of its time."""
    fp32 = spec.precision == "fp32"
    note = "" if fp32 else "bf16 convolutions; parameters, statistics, logits and loss in fp32"
    return LedgerRow("precision", spec.precision, "fp32", "same" if fp32 else "differs", note)
