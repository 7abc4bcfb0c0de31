"""What torchvision, timm and transformers have: asked of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision

from rescli.data.specs import ImageNetSpec
from rescli.exporters.architectures import (
    torchvision_name,
    transformers_config,
    transformers_state,
    why_not_torchvision,
)
from rescli.models.specs import model_spec


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_names_and_shapes_are_torchvisions_and_timms(depth: int) -> None:
    timm = pytest.importorskip("timm")
    spec = model_spec(f"resnet-{depth}", shortcut="B", stride_on="3x3")
    name = torchvision_name(spec)
    assert name == f"resnet{depth}"
    with torch.device("meta"):
        ours = spec.build(num_classes=7, image_size=224, seed=0).state_dict()
        theirs = torchvision.models.get_model(name, weights=None, num_classes=7).state_dict()
        timms = timm.create_model(name, num_classes=7).state_dict()
    shapes = {key: tensor.shape for key, tensor in ours.items()}
    assert shapes == {key: tensor.shape for key, tensor in theirs.items()}
    assert shapes == {key: tensor.shape for key, tensor in timms.items()}


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("resnet-20", {}, "none of 6n+2 layers such as resnet-20"),
        ("plain-34", {}, "they have no plain-34"),
        ("resnet-34", {}, "their resnet-34 has shortcut B, this one A"),
        ("resnet-50", {}, "stride on the 3x3 convolution of a bottleneck, this one, as the paper's"),
        ("resnet-18", {"shortcut": "B", "width": 32}, "a stem of 64 channels, this one of 32"),
    ],
)
def test_what_they_do_not_have(name: str, given: dict[str, object], says: str) -> None:
    spec = model_spec(name, **given)
    assert says in str(why_not_torchvision(spec))
    assert torchvision_name(spec) is None


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("resnet-18", {"shortcut": "B"}),
        ("resnet-50", {"stride_on": "1x1"}),
        ("resnet-50", {"stride_on": "3x3"}),
        ("resnet-101", {"stride_on": "1x1", "width": 4}),
    ],
)
def test_transformers_own_network_gives_our_logits(
    checkpoint_of: Callable[..., Any], name: str, given: dict[str, object]
) -> None:
    transformers = pytest.importorskip("transformers")
    checkpoint = checkpoint_of(
        name, dataset=ImageNetSpec(), normalization="per-channel", **{"width": 8, **given}
    )
    config = transformers_config(checkpoint.model)
    assert config is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        net = transformers.ResNetForImageClassification(transformers.ResNetConfig(**config, num_labels=1000))
    net.load_state_dict(transformers_state(checkpoint.tensors), strict=True)
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        ours, theirs = checkpoint.build_model()(images), net.eval()(pixel_values=images).logits
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4 * float(ours.abs().max()))


@pytest.mark.parametrize(("name", "given"), [("resnet-34", {}), ("resnet-20", {}), ("plain-18", {})])
def test_what_transformers_does_not_have(name: str, given: dict[str, object]) -> None:
    assert transformers_config(model_spec(name, **given)) is None
