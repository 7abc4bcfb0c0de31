"""Speed is guarded by what a step launches, where nobody can time it."""

from __future__ import annotations

import pytest
import torch

from rescli.bench.counts import OperationCounter, count_operations, device_kernels
from rescli.hardware.numerics import Numerics
from rescli.runs.assembly import Assembly, assemble
from rescli.spec.load import load_spec

CPU = torch.device("cpu")
LOADER_OPERATIONS = 63
"""Hashes, gathers and arithmetic of one batch, whatever the network."""


def assembly(depth: int, precision: str) -> Assembly:
    small = [("data.dataset.num_train", 40), ("data.dataset.num_val", 10), ("data.batch_size", 8)]
    spec = load_spec("shapes/base", [("model", {"kind": "resnet", "depth": depth}), *small])
    return assemble(spec, numerics=Numerics(CPU, precision))


@pytest.mark.parametrize("depth", [8, 20, 56])
@pytest.mark.parametrize(("precision", "per_convolution", "beside"), [("fp32", 8, 9), ("bf16", 10, 11)])
def test_a_step_launches_so_many_operations_a_convolution_and_a_few(
    depth: int, precision: str, per_convolution: int, beside: int
) -> None:
    # Convolution, normalisation, ReLU, half an addition, and the gradients of all; bf16 casts each weight
    # and its gradient.
    most = per_convolution * (depth - 1) + beside + LOADER_OPERATIONS
    assert count_operations(assembly(depth, precision)) <= most


def test_a_batch_launches_the_same_for_every_network() -> None:
    loader = assembly(8, "fp32").loader
    loader.batch(0)
    with OperationCounter() as counter:
        loader.batch(1)
    assert counter.count <= LOADER_OPERATIONS


def test_without_a_gpu_there_are_no_kernels_to_count() -> None:
    assert device_kernels(lambda steps: steps, Numerics(CPU, "fp32")) is None
