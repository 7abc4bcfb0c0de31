from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision

from rescli.data.specs import Cifar10Spec
from rescli.importers.convert import to_checkpoint
from rescli.importers.reading.weights_file import Weights
from rescli.importers.torchvision import TorchvisionImporter
from rescli.models.specs import model_spec


def scramble(net: torch.nn.Module) -> None:
    """Random batch statistics, as no fresh net has."""
    random = torch.Generator().manual_seed(0)
    for name, values in net.state_dict().items():
        if name.endswith("running_mean"):
            values.copy_(torch.randn(values.shape, generator=random) * 0.1)
        elif name.endswith("running_var"):
            values.copy_(torch.rand(values.shape, generator=random) + 0.5)


def imported(state: dict[str, torch.Tensor], dataset: Any, name: str, **given: Any) -> Any:
    return to_checkpoint(
        Weights(state, "net.pth", "0" * 64),
        TorchvisionImporter(),
        model=model_spec(name, image_size=dataset.image_size, **given),
        dataset=dataset,
    )


@pytest.mark.parametrize(
    ("name", "given"), [("resnet-18", {"shortcut": "B"}), ("resnet-50", {"stride_on": "3x3"})]
)
def test_logits_are_those_of_torchvision(birds: Any, name: str, given: Any) -> None:
    net = getattr(torchvision.models, name.replace("-", ""))(num_classes=7).eval()
    scramble(net)
    model = imported(net.state_dict(), birds, name, **given).build_model()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(model(x), net(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet-20", "plain-20"])
def test_our_own_state_dicts_come_back_bit_for_bit(name: str) -> None:
    net = model_spec(name, image_size=32).build(num_classes=10, image_size=32, seed=5)
    tensors = imported(net.state_dict(), Cifar10Spec(), name).tensors
    assert tensors.keys() == net.state_dict().keys()
    assert all(tensors[key].equal(value) for key, value in net.state_dict().items())


def test_recognises_torchvisions_and_our_own(akamaster: Any) -> None:
    recognises = TorchvisionImporter().recognises
    assert recognises(torchvision.models.resnet18().state_dict())
    assert recognises(model_spec("resnet-20").build(num_classes=10, image_size=32, seed=0).state_dict())
    assert not recognises(akamaster(8).state)
    assert not recognises(torchvision.models.squeezenet1_0().state_dict())
