from __future__ import annotations

from typing import Any

import pytest
import torch

from rescli import registry
from rescli.data.specs import Cifar10Spec
from rescli.errors import CheckpointError, UsageError
from rescli.importers.convert import recognise, to_checkpoint
from rescli.importers.normalizations import NORMALIZATIONS
from rescli.importers.pycls import PyclsImporter
from rescli.importers.reading.weights_file import Weights
from rescli.models.specs import model_spec

RESNET_50 = (3, 4, 6, 3)


def imported(state: Any, name: str, *, dataset: Any = None, **given: Any) -> Any:
    dataset = dataset or Cifar10Spec()
    return to_checkpoint(
        Weights(state, "net.pyth", "0" * 64),
        PyclsImporter(),
        model=model_spec(name, image_size=dataset.image_size, **{"shortcut": "B", **given}),
        dataset=dataset,
    )


@pytest.mark.parametrize("depth", [8, 20])
def test_logits_on_cifar_are_those_of_the_original_net(pycls: Any, images: Any, depth: int) -> None:
    net = pycls([(depth - 2) // 6] * 3, seed=depth)
    expected = net.logits(images)
    model = imported(net.state, f"resnet-{depth}").build_model()
    with torch.inference_mode():
        assert (model(images) - expected).abs().max() < 1e-5
        assert (model.double()(images.double()) - expected).abs().max() < 1e-12
    assert expected.std(0).max() > 1e-3  # the images make a difference


@pytest.mark.parametrize(
    ("counts", "original", "name", "given"),
    [
        ((2, 2, 2, 2), {}, "resnet-18", {}),
        (RESNET_50, {"bottlenecks": True, "stride_1x1": True}, "resnet-50", {"stride_on": "1x1"}),
        (RESNET_50, {"bottlenecks": True, "stride_1x1": False}, "resnet-50", {"stride_on": "3x3"}),
    ],
    ids=["18", "50 with the stride on the 1x1", "50 with the stride on the 3x3"],
)
def test_logits_on_imagenet_are_those_of_the_net_that_is_fed_bgr(
    pycls: Any, birds: Any, counts: Any, original: Any, name: str, given: Any
) -> None:
    net = pycls(counts, num_classes=7, **original)
    rgb = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = net.logits(rgb[:, [2, 1, 0]])
    model = imported(net.state, name, dataset=birds, **given).build_model()
    with torch.inference_mode():
        assert (model(rgb) - expected).abs().max() < 1e-5
        assert (model.double()(rgb.double()) - expected).abs().max() < 1e-12
    # The order of the channels makes a difference, and so do the images.
    assert (net.logits(rgb) - expected).abs().max() > 1e-3
    assert expected.diff(dim=0).abs().max() > 1e-3


def test_nothing_but_the_first_convolution_is_moved(pycls: Any, birds: Any) -> None:
    net = pycls((2, 2, 2, 2), num_classes=7)
    tensors = imported(net.state, "resnet-18", dataset=birds).tensors
    moved = [
        name
        for name, tensor in tensors.items()
        if "num_batches" not in name and not tensor.equal(net.state[PyclsImporter().their_name(name)])
    ]
    assert moved == ["conv1.weight"]
    small = pycls((1, 1, 1))
    assert imported(small.state, "resnet-8").tensors["conv1.weight"].equal(small.state["stem.conv.weight"])


def test_each_family_has_its_normalization(pycls: Any, birds: Any) -> None:
    small = imported(pycls((1, 1, 1)).state, "resnet-8")
    large = imported(pycls((2, 2, 2, 2), num_classes=7).state, "resnet-18", dataset=birds)
    assert small.data["imported_from"]["normalization"] == "cifar10-channels-255"
    assert (255 * small.normalization.mean_CHW).flatten().tolist() == pytest.approx([125.3, 123.0, 113.9])
    assert (255 * small.normalization.std_C).tolist() == pytest.approx([63.0, 62.1, 66.7])
    assert large.data["imported_from"]["normalization"] == "imagenet"
    assert large.normalization.std_C.tolist() == pytest.approx(NORMALIZATIONS["imagenet"][1])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv1.weight", "stem.conv.weight"),
        ("bn1.running_var", "stem.bn.running_var"),
        ("layer1.0.downsample.0.weight", "s1.b1.proj.weight"),
        ("layer2.0.downsample.1.num_batches_tracked", "s2.b1.bn.num_batches_tracked"),
        ("layer3.22.conv1.weight", "s3.b23.f.a.weight"),
        ("layer4.1.bn3.bias", "s4.b2.f.c_bn.bias"),
        ("fc.bias", "head.fc.bias"),
    ],
)
def test_names(ours: str, theirs: str) -> None:
    assert PyclsImporter().their_name(ours) == theirs


def test_every_wrong_tensor_is_named(pycls: Any) -> None:
    state = pycls((1, 1, 1)).state
    del state["s2.b1.proj.weight"]
    state.update({"s1.b1.f.se.weight": torch.zeros(1), "head.fc.bias": torch.zeros(11)})
    with pytest.raises(CheckpointError) as caught:
        imported(state, "resnet-8")
    assert str(caught.value) == (
        "net.pyth does not fit resnet-8 on cifar10: 1 missing: s2.b1.proj.weight; "
        "1 extra: s1.b1.f.se.weight; 1 misshapen: head.fc.bias (11, expected 10)."
    )


@pytest.mark.parametrize(
    ("counts", "name", "given", "hint", "settings"),
    [
        ((3, 3, 3), "resnet-8", {}, "these look like resnet-20", {"model": "resnet-20"}),
        ((1, 1, 1), "resnet-8", {"shortcut": "A"}, "these look like shortcut B", {"shortcut": "B"}),
        (
            (2, 2, 2, 2),
            "resnet-8",
            {},
            "these look like the resnet-18 of the imagenet family, which cifar10 does not take",
            {},
        ),
    ],
)
def test_the_hint_says_which_net_it_looks_like(
    pycls: Any, counts: Any, name: str, given: Any, hint: str, settings: dict[str, str]
) -> None:
    with pytest.raises((CheckpointError, UsageError)) as caught:
        imported(pycls(counts).state, name, **given)
    assert caught.value.hint == hint
    assert {remedy.setting: remedy.value for remedy in caught.value.remedies} == settings


@pytest.mark.parametrize(
    ("name", "given"), [("plain-20", {"shortcut": None}), ("resnet-20", {"shortcut": "C"})]
)
def test_nets_that_the_layout_does_not_have_are_refused(pycls: Any, name: str, given: Any) -> None:
    model = model_spec(name, image_size=32, **{key: value for key, value in given.items() if value})
    weights = Weights(pycls((3, 3, 3)).state, "net.pyth", "0" * 64)
    with pytest.raises(UsageError, match="the layout pycls has residual nets with shortcut B") as caught:
        to_checkpoint(weights, PyclsImporter(), model=model, dataset=Cifar10Spec())
    assert name in str(caught.value)


def test_each_layout_is_recognised_by_its_importer_alone(pycls: Any, akamaster: Any) -> None:
    importers = {name: registry.load("importers", name)() for name in registry.names("importers")}
    ours = model_spec("resnet-8").build(num_classes=10, image_size=32, seed=0).state_dict()
    states = {
        "pycls": [pycls((1, 1, 1)).state, pycls((1, 1, 1, 1), bottlenecks=True).state],
        "akamaster": [akamaster(8).state, akamaster(8, option="B").state],
        "torchvision": [ours],
    }
    for kind, of_kind in states.items():
        for state in of_kind:
            assert recognise(Weights(dict(state), "net.th", ""), importers).kind == kind


@pytest.mark.parametrize("missing", ["stem.conv.weight", "s1.b1.f.a.weight", "head.fc.weight"])
def test_recognises_its_own_names_only(pycls: Any, missing: str) -> None:
    assert not PyclsImporter().recognises(pycls((1, 1, 1)).state.keys() - {missing})
