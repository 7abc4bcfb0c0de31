from __future__ import annotations

from typing import Any

import pytest
import torch

from rescli.data.specs import Cifar10Spec, Cifar100Spec
from rescli.errors import UsageError
from rescli.importers.akamaster import AkamasterImporter, stream_orders
from rescli.importers.convert import to_checkpoint
from rescli.importers.reading.weights_file import Weights
from rescli.models.specs import model_spec


def imported(net: Any, name: str, *, dataset: Any = None, **given: Any) -> Any:
    return to_checkpoint(
        Weights(net.state, "net.th", "0" * 64),
        AkamasterImporter(),
        model=model_spec(name, image_size=32, **given),
        dataset=dataset or Cifar10Spec(),
    )


@pytest.mark.parametrize("depth", [8, 20, 110])
def test_logits_are_those_of_the_original_net(akamaster: Any, images: Any, depth: int) -> None:
    net = akamaster(depth, seed=depth)
    expected = net.logits(images)
    model = imported(net, f"resnet-{depth}").build_model()
    with torch.inference_mode():
        assert (model(images) - expected).abs().max() < 1e-5
        assert (model.double()(images.double()) - expected).abs().max() < 1e-12
    assert expected.std(0).max() > 1e-3  # the images make a difference


def test_without_the_permutation_they_are_not(akamaster: Any, images: Any) -> None:
    net = akamaster(20)
    checkpoint = imported(net, "resnet-20")
    renamed = {
        name: net.state[AkamasterImporter().their_name(name)]
        for name in checkpoint.tensors
        if not name.endswith("num_batches_tracked")
    }
    model = checkpoint.model.build(num_classes=10, image_size=32, seed=0).eval()
    model.load_state_dict(renamed, strict=False)
    with torch.inference_mode():
        assert (model(images) - net.logits(images)).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("given", "original"),
    [
        ({"shortcut": "B"}, {"option": "B"}),
        ({"width": 6}, {"width": 6}),
        ({"dataset": Cifar100Spec()}, {"num_classes": 100}),
    ],
    ids=["option B", "another width", "100 classes"],
)
def test_so_are_those_of_its_variants(
    akamaster: Any, images: Any, given: dict[str, Any], original: dict[str, Any]
) -> None:
    net = akamaster(14, **original)
    with torch.inference_mode():
        logits = imported(net, "resnet-14", **given).build_model()(images)
    assert (logits - net.logits(images)).abs().max() < 1e-5


def test_option_b_has_no_zeros_and_moves_nothing(akamaster: Any) -> None:
    net = akamaster(8, option="B")
    tensors = imported(net, "resnet-8", shortcut="B").tensors
    assert all(
        tensors[n.replace("shortcut", "downsample").replace("linear", "fc")].equal(t)
        for n, t in net.state.items()
    )


def test_orders_worked_by_hand() -> None:
    orders = {stage: order.tolist() for stage, order in stream_orders(4).items()}
    assert orders == {
        1: [0, 1, 2, 3],
        # Theirs: 2 zeros, the 4 channels, 2 zeros.
        2: [2, 3, 4, 5, 0, 1, 6, 7],
        # Theirs: 4 zeros, the 8 channels (in their order), 4 zeros.
        3: [6, 7, 8, 9, 4, 5, 10, 11, 0, 1, 2, 3, 12, 13, 14, 15],
    }


@pytest.mark.parametrize("width", [2, 16, 64])
def test_orders_lose_no_channel(width: int) -> None:
    for stage, order in stream_orders(width).items():
        assert sorted(order.tolist()) == list(range(width * 2 ** (stage - 1)))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("plain-20", {}),
        ("resnet-20", {"shortcut": "C"}),
        ("resnet-20", {"width": 15}),
        ("resnet-29", {"block": "bottleneck"}),
    ],
)
def test_nets_that_the_layout_does_not_have_are_refused(akamaster: Any, name: str, given: Any) -> None:
    with pytest.raises(UsageError, match="the layout akamaster has residual nets") as caught:
        imported(akamaster(20), name, **given)
    assert name in str(caught.value)


def test_recognises_its_own_names_only(akamaster: Any) -> None:
    names = set(akamaster(8).state)
    recognises = AkamasterImporter().recognises
    assert recognises(names)
    assert not recognises(names - {"linear.weight"})
    assert not recognises(names | {"layer4.0.conv1.weight"})
    assert not recognises({name.replace("linear", "fc") for name in names})
