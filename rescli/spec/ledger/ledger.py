"""The fidelity ledger: a spec held against the paper field by field, by the study that fits its images."""

from __future__ import annotations

from rescli.spec.ledger.cifar import cifar_rows
from rescli.spec.ledger.imagenet import imagenet_rows
from rescli.spec.ledger.row import LedgerRow
from rescli.spec.run import RunSpec

__all__ = ["differences", "ledger"]


def differences(rows: list[LedgerRow]) -> list[LedgerRow]:
    """The rows where this spec is not the paper."""
    return [row for row in rows if row.verdict in ("differs", "beyond")]


def ledger(spec: RunSpec) -> list[LedgerRow]:
    """Every choice of the CIFAR-10 study, or of photographs of the ImageNet study, in the paper's order."""
    rows = imagenet_rows(spec) if spec.data.dataset.any_size else cifar_rows(spec)
    return [
        *rows,
        LedgerRow("checkpoint", "last, and best on val", "-", "not stated", "every number says which"),
    ]
