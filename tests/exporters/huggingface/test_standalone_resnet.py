"""The network without rescli: a second formula of every network that rescli has."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.specs import ImageNetSpec
from rescli.exporters.base import Options, Subject
from rescli.exporters.description import describe
from rescli.exporters.formats.safetensors import write_standalone
from rescli.exporters.huggingface import standalone_resnet
from rescli.exporters.huggingface.standalone_resnet import load, preprocess

NETS = [
    *(("resnet-20", {"shortcut": option}) for option in "ABC"),
    ("plain-14", {}),
    ("resnet-11", {"block": "bottleneck", "shortcut": "B"}),
    ("resnet-11", {"block": "bottleneck", "shortcut": "C", "stride_on": "3x3"}),
    ("resnet-8", {"width": 6}),
    *(("resnet-18", {"dataset": ImageNetSpec(), "shortcut": option, "width": 8}) for option in "ABC"),
    *(("resnet-50", {"dataset": ImageNetSpec(), "stride_on": on, "width": 8}) for on in ("1x1", "3x3")),
    ("plain-18", {"dataset": ImageNetSpec(), "width": 8}),
]


@pytest.mark.parametrize("folded", [False, True], ids=["separate", "folded"])
@pytest.mark.parametrize(("name", "given"), NETS, ids=lambda value: str(value)[:60])
def test_it_gives_the_checkpoints_logits(
    checkpoint_of: Callable[..., Any], name: str, given: dict[str, object], folded: bool, tmp_path: Path
) -> None:
    checkpoint = checkpoint_of(name, **given)
    options = Options(fold_bn=folded)
    subject = Subject(checkpoint, options, describe(checkpoint, options, []), list)
    assert write_standalone(subject, tmp_path / "net.safetensors") == ["config.json"]
    net, config = load(tmp_path / "net.safetensors")
    size = checkpoint.dataset.image_size
    images = torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8)
    inputs = preprocess(images, config)
    torch.testing.assert_close(inputs, checkpoint.normalization.apply(images))
    with torch.inference_mode():
        ours, theirs = checkpoint.build_model()(inputs), net(inputs)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4 * float(ours.abs().max()))


def test_it_imports_nothing_of_rescli() -> None:
    tree = ast.parse(Path(str(standalone_resnet.__file__)).read_text(encoding="utf-8"))
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]  # type: ignore[union-attr]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules == {"__future__", "base64", "json", "numpy", "pathlib", "safetensors", "torch", "typing"}


def test_the_config_is_plain_json(net8: Path) -> None:
    checkpoint = Checkpoint.read(net8)
    description = describe(checkpoint, Options(), [])
    assert json.loads(json.dumps(description)) == description
    assert description["architecture"] == {
        "blocks_per_stage": [1, 1, 1],
        "width": 16,
        "block": "basic",
        "shortcut": "A",
        "stride_on": "1x1",
        "large_stem": False,
        "num_classes": 10,
    }
    assert description["checkpoint"]["sha256"] == checkpoint.sha256
