"""Responses that overflow are damage of the weights, not numbers to print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError
from rescli.studies.responses import measure_responses


def test_responses_that_are_no_finite_numbers_name_the_file(net8: Path, tmp_path: Path) -> None:
    net = Checkpoint.read(net8)
    name = "layer3.0.bn2.bias"
    huge = {name: torch.full_like(net.tensors[name], torch.finfo(torch.float32).max)}
    path = tmp_path / "net.safetensors"
    replace(net, tensors={**net.tensors, **huge}).write(path)
    with pytest.raises(CheckpointError, match=f"^{path}: the responses of .* are no finite numbers"):
        measure_responses(path, None, None, "cpu")
