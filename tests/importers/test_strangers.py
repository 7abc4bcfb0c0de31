"""Nets that are not here are called so, by names and shapes that only they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rescli import registry
from rescli.importers.convert import recognise, to_checkpoint
from rescli.importers.reading.weights_file import Weights
from rescli.importers.strangers import kind_by_names, stranger
from rescli.importers.torchvision import TorchvisionImporter
from rescli.models.specs import model_spec
from rescli.spec.from_names import named_dataset

State = dict[str, torch.Tensor]
TORCHVISION = TorchvisionImporter()


def net(name: str = "resnet-18", **given: Any) -> State:
    spec = model_spec(name, image_size=224, **{"width": 4, "shortcut": "B"} | given)
    with torch.device("meta"):
        return dict(spec.build(num_classes=10, image_size=224, seed=0).state_dict())


def of(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def grouped(state: State) -> State:
    shapes = {name: tensor.shape for name, tensor in state.items() if name.endswith("conv2.weight")}
    return state | {name: of((shape[0], shape[1] // 2, 3, 3)) for name, shape in shapes.items()}


def wide(state: State) -> State:
    for name, tensor in state.items():
        if ".conv" in name and name.endswith("weight"):
            out, inner, *kernel = tensor.shape
            sizes = {"1": (2 * out, inner), "2": (2 * out, 2 * inner), "3": (out, 2 * inner)}
            state[name] = of((*sizes[name[-8]], *kernel))
    return state


STRANGERS: dict[str, tuple[str, Callable[[State], State], str]] = {
    "wide_resnet50_2": ("resnet-50", wide, "bottlenecks of 8 channels that give 16, as wide ResNets"),
    "resnext50": ("resnet-50", grouped, "in 2 groups, as ResNeXts"),
    "a stem of 3x3": ("resnet-18", lambda s: s | {"conv1.weight": of((4, 3, 3, 3))}, "a stem of 3x3, where"),
    "grey images": (
        "resnet-18",
        lambda s: s | {"conv1.weight": of((4, 1, 7, 7))},
        "of 1 channel, where",
    ),
    "squeeze-and-excitation": (
        "resnet-50",
        lambda s: s | {"layer1.0.se.fc1.weight": of((1, 16, 1, 1))},
        "squeeze-and-excitation",
    ),
    "resnet-d": ("resnet-18", lambda s: s | {"conv1.3.weight": of((4, 4, 3, 3))}, "stem of several"),
    "blurred": ("resnet-18", lambda s: s | {"layer2.0.downsample.0.filt": of((1, 1, 3, 3))}, "pool before"),
    "group normalisation": (
        "resnet-18",
        lambda s: {name: one for name, one in s.items() if "running" not in name},
        "without running statistics",
    ),
    "folded": (
        "resnet-18",
        lambda s: (
            {name: one for name, one in s.items() if "bn" not in name and "downsample.1" not in name}
            | {"conv1.bias": of((4,))}
        ),
        "was folded",
    ),
    "resnet10": (
        "resnet-18",
        lambda s: {name: one for name, one in s.items() if not name.startswith("layer3.1")},
        "stages of 2 2 1 2 blocks",
    ),
    "clip": ("resnet-50", lambda s: s | {"attnpool.k_proj.weight": of((4, 4))}, "CLIP's"),
}


@pytest.mark.parametrize(("name", "change", "says"), STRANGERS.values(), ids=STRANGERS)
def test_what_gives_them_away(name: str, change: Callable[[State], State], says: str) -> None:
    state = change(net(name))
    assert says in (stranger(state, TORCHVISION) or "")
    dataset = named_dataset("imagenet")
    weights = Weights({name: torch.zeros(one.shape) for name, one in state.items()}, "net.pth", "")
    model = model_spec(name, image_size=224, shortcut="B", width=4, stride_on="3x3")
    with pytest.raises(Exception, match="does not fit") as refused:
        to_checkpoint(weights, TORCHVISION, model=model, dataset=dataset)
    hint = str(getattr(refused.value, "hint", ""))
    assert "rescli has no such net: these weights are" in hint
    assert says in hint
    assert hint.endswith("plugins (plugins.md of the handbook)")
    assert not getattr(refused.value, "remedies", ())  # none could help


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["class_token", "encoder.layers.encoder_layer_0.ln_1.bias"], "vision transformer"),
        (["cls_token", "blocks.0.attn.qkv.weight"], "vision transformer"),
        (["features.denseblock1.denselayer1.conv1.weight"], "DenseNet"),
        (["features.1.0.block.0.0.weight"], "another family"),
        (["features.0.weight", "classifier.0.weight"], "VGG"),
        (["resnet.embedder.embedder.convolution.weight"], "transformers"),
        (["backbone.body.conv1.weight", "rpn.head.cls_logits.weight"], "detector"),
    ],
)
def test_other_families_by_their_names(names: list[str], says: str) -> None:
    assert says in (kind_by_names(names) or "")
    importers = {kind: registry.load("importers", kind)() for kind in registry.names("importers")}
    weights = Weights(dict.fromkeys(names, torch.zeros(2, 2)), "net.pth", "")
    with pytest.raises(Exception, match="in no layout that is known here") as refused:
        recognise(weights, importers)
    assert says in str(getattr(refused.value, "hint", ""))


def test_a_stem_of_one_convolution_in_a_sequence_is_not_called_several() -> None:
    assert kind_by_names(["conv1.0.weight", "conv1.1.weight", "conv2_x.0.residual_function.0.weight"]) is None


@pytest.mark.parametrize("kind", registry.names("importers"))
@pytest.mark.parametrize("name", ["resnet-20", "resnet-50", "plain-34", "resnet-152", "resnet-29"])
@pytest.mark.parametrize("width", [4, 16])
def test_nets_that_are_here_are_no_strangers(kind: str, name: str, width: int) -> None:
    given = {"block": "bottleneck"} if name == "resnet-29" else {}
    spec = model_spec(name, width=width, **given)
    with torch.device("meta"):
        state = spec.build(num_classes=10, image_size=32, seed=0).state_dict()
    importer = registry.load("importers", kind)()
    assert stranger({importer.their_name(name): one for name, one in state.items()}, importer) is None
