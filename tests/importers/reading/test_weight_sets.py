"""Where the nets are in what training programs save; each shape as its program writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rescli.errors import CheckpointError, UsageError
from rescli.importers.akamaster import AkamasterImporter
from rescli.importers.base import Importer
from rescli.importers.pycls import PyclsImporter
from rescli.importers.reading.state_dicts import is_averaged
from rescli.importers.reading.weight_sets import common_prefix
from rescli.importers.reading.weights_file import Weights, read_weights
from rescli.importers.torchvision import TorchvisionImporter
from rescli.models.specs import model_spec
from rescli.spec.base import ModelSpec

IMPORTERS: dict[str, Importer] = {
    "akamaster": AkamasterImporter(),
    "pycls": PyclsImporter(),
    "torchvision": TorchvisionImporter(),
}

State = dict[str, Tensor]


def state_of(name: str = "resnet-8", seed: int = 0, **given: str) -> State:
    net = model_spec(name, image_size=32, **given).build(num_classes=10, image_size=32, seed=seed)
    return dict(net.state_dict())


STATE, AVERAGE = state_of(), state_of(seed=1)
TRUNK = {name: tensor for name, tensor in STATE.items() if not name.startswith("fc.")}
ONE = torch.tensor(1)


def under(prefix: str, state: State = STATE) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def head(name: str, state: State = STATE) -> State:
    return {f"{name}.{part}".lstrip("."): state[f"fc.{part}"] for part in ("weight", "bias")}


def taken(tmp_path: Path, content: Any, which: str | None = None) -> Weights:
    torch.save(content, tmp_path / "net")
    return read_weights(tmp_path / "net", IMPORTERS, which)


def same(found: State, expected: State = STATE) -> bool:
    return found.keys() == expected.keys() and all(found[name].equal(expected[name]) for name in expected)


@pytest.mark.parametrize(
    "content",
    [
        under("model."),
        under("encoder."),
        under("backbone."),
        under("module.encoder."),
        under("any.thing.at.all."),
        under("module._orig_mod."),
        {name.replace("layer1.", "layer1._orig_mod."): tensor for name, tensor in STATE.items()},
        {
            name.replace("layer2.0.", "layer2.0._checkpoint_wrapped_module."): one
            for name, one in STATE.items()
        },
        {"state_dict": under("model.module.")},
        {"state": {"model": {"module": under("net.")}}},
        {"checkpoint": {"epoch": 3, "weights": STATE}, "optimizer": {"state": {0: {"momentum_buffer": ONE}}}},
        {"params": STATE, "optimizer": {"momentum": under("", AVERAGE)}},
        [{"epoch": 3}, STATE],
    ],
)
def test_wrappers_and_prefixes_of_any_name(tmp_path: Path, content: Any) -> None:
    read = taken(tmp_path, content)
    assert same(read.tensors)
    assert (read.name, read.others, read.left_out) == (None, (), ())


COUNTED = {"n_averaged": ONE, **under("module.", AVERAGE)}


@pytest.mark.parametrize(
    ("content", "plain", "averaged"),
    [
        ({"model": STATE, "model_ema": AVERAGE}, "model", "model_ema"),
        ({"model": STATE, "model_ema": COUNTED, "epoch": 3}, "model", "model_ema"),
        ({"state_dict": STATE, "state_dict_ema": AVERAGE}, "state_dict", "state_dict_ema"),
        ({"model": STATE, "ema": {"module": AVERAGE, "updates": 3}}, "model", "ema.module"),
        ({"state_dict": under("backbone."), "ema_state_dict": COUNTED}, "state_dict", "ema_state_dict"),
        ({"net": STATE, "averaged_model": COUNTED}, "net", "averaged_model"),
        ({"net": STATE, "swa": COUNTED}, "net", "swa"),
        (
            {"state_dict": {**under("model."), **under("ema_model.module.", AVERAGE)}},
            "state_dict.model",
            "state_dict.ema_model.module",
        ),
        ({**under("encoder_q."), **under("encoder_k.", AVERAGE)}, "encoder_q", "encoder_k"),
        ({"student": STATE, "teacher": AVERAGE}, "student", "teacher"),
    ],
)
def test_the_plain_weights_are_taken_and_the_others_named(
    tmp_path: Path, content: Any, plain: str, averaged: str
) -> None:
    read = taken(tmp_path, content)
    assert same(read.tensors)
    assert (read.name, read.others) == (plain, (averaged,))
    read = taken(tmp_path, content, averaged)
    assert same(read.tensors, AVERAGE)
    assert (read.name, read.others) == (averaged, (plain,))


def test_a_set_may_be_named_by_the_module_or_the_outer_key_alone(tmp_path: Path) -> None:
    content = {"state_dict": {**under("net."), **under("shadow.module.", AVERAGE)}}
    assert same(taken(tmp_path, content, "shadow.module").tensors, AVERAGE)
    content = {"model": STATE, "ema": {"module": AVERAGE}}
    assert same(taken(tmp_path, content, "ema").tensors, AVERAGE)


def test_an_average_alone_is_taken_and_called_so(tmp_path: Path) -> None:
    read = taken(tmp_path, COUNTED)
    assert same(read.tensors, AVERAGE)
    assert (read.name, read.others, read.prefix, read.left_out) == ("module", (), "module.", ("n_averaged",))


def test_an_average_of_a_wrapped_net(tmp_path: Path) -> None:
    """As ``AveragedModel(DataParallel(net))`` saves it."""
    read = taken(tmp_path, {"n_averaged": ONE, **under("module.module.")})
    assert (read.name, read.prefix) == ("module.module", "module.module.")


def test_of_two_that_are_no_averages_the_user_chooses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several sets of weights: model, best_model") as caught:
        taken(tmp_path, {"model": STATE, "best_model": AVERAGE})
    assert [(one.setting, one.value) for one in caught.value.remedies] == [("which", "model")]
    assert same(taken(tmp_path, {"model": STATE, "best_model": AVERAGE}, "best_model").tensors, AVERAGE)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({**TRUNK, **head("fc.0")}, "fc.0"),
        ({**TRUNK, **head("fc.1")}, "fc.1"),
        ({**under("backbone.", TRUNK), **head("fc")}, "fc"),
        ({**under("model.module.", TRUNK), **head("model.fc.out")}, "model.fc.out"),
        ({"encoder": TRUNK, "fc": head("")}, "fc"),
        ({**TRUNK, **head("fc.predictor")}, "fc.predictor"),  # which is left out where another is the head
    ],
)
def test_the_one_linear_layer_is_the_head(tmp_path: Path, content: Any, name: str) -> None:
    read = taken(tmp_path, content)
    assert same(read.tensors)
    assert read.head == name


@pytest.mark.parametrize("name", ["head", "classifier", "classifier.1", "linear", "last_linear", "head.fc"])
def test_a_head_of_any_name(tmp_path: Path, name: str) -> None:
    """With four stages; under three, only the names say whose padding it is."""
    net = model_spec("resnet-18", image_size=224, shortcut="B", width=4)
    state = dict(net.build(num_classes=10, image_size=224, seed=0).state_dict())
    renamed = {f"{name}{key[2:]}" if key.startswith("fc.") else key: tensor for key, tensor in state.items()}
    read = taken(tmp_path, renamed)
    assert same(read.tensors, state)
    assert read.head == name


def test_three_stages_whose_padding_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could be in the layouts akamaster and torchvision") as caught:
        taken(tmp_path, {**TRUNK, **head("classifier")})
    assert [(one.setting, one.value) for one in caught.value.remedies] == [("layout", "akamaster")]
    torch.save({**TRUNK, **head("classifier")}, tmp_path / "net")
    read = read_weights(tmp_path / "net", {"akamaster": AkamasterImporter()})
    assert read.head == "classifier"
    assert {"linear.weight", "linear.bias"} <= read.tensors.keys()


def test_projections_tell_them_apart(tmp_path: Path) -> None:
    state = state_of(shortcut="B")
    renamed = {name.replace("fc.", "classifier."): tensor for name, tensor in state.items()}
    assert same(taken(tmp_path, renamed).tensors, state)


def test_two_linear_layers_are_named(tmp_path: Path) -> None:
    hidden = {
        "fc.0.weight": torch.zeros(5, 64),
        "fc.0.bias": torch.zeros(5),
        "fc.3.weight": torch.zeros(10, 5),
    }
    with pytest.raises(CheckpointError, match=r"2 linear layers, fc\.0, fc\.3, where the nets here have one"):
        taken(tmp_path, {**TRUNK, **hidden})


def test_a_trunk_without_head(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a ResNet without its head") as caught:
        taken(tmp_path, under("backbone.", TRUNK))
    assert "fc.weight (2, 64) and fc.bias (2)" in str(caught.value.hint)
    alone = {**TRUNK, "fc.weight": torch.zeros(2, 64), "fc.bias": torch.zeros(2)}
    assert same(taken(tmp_path, alone).tensors, alone)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_weights_are_called_so(tmp_path: Path) -> None:
    quantized = torch.quantize_per_tensor(STATE["conv1.weight"], 0.1, 0, torch.qint8)
    with pytest.raises(CheckpointError, match=r"conv1\.weight \(quantized\)") as caught:
        taken(tmp_path, {**STATE, "conv1.weight": quantized})
    assert "take the original ones" in str(caught.value.hint)


def test_the_queue_of_contrastive_training_is_beside_the_net(tmp_path: Path) -> None:
    queues = {"module.queue": torch.zeros(4, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    read = taken(tmp_path, {**under("module.encoder_q.", STATE), **queues})
    assert same(read.tensors, STATE)


def test_no_bias_is_a_bias_of_zero(tmp_path: Path) -> None:
    read = taken(tmp_path, {name: tensor for name, tensor in STATE.items() if name != "fc.bias"})
    assert read.zero_bias
    assert same(read.tensors, {**STATE, "fc.bias": torch.zeros(10)})


def test_the_children_of_a_resnet_in_a_sequential(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    net = torchvision.models.resnet18(num_classes=3)
    children = torch.nn.Sequential(*list(net.children())[:-1])
    read = taken(tmp_path, {**under("features.", children.state_dict()), **under("fc.", net.fc.state_dict())})
    assert same(read.tensors, net.state_dict())


def test_what_only_training_needs_is_left_out_and_said(tmp_path: Path) -> None:
    beside = {
        "criterion.weight": torch.ones(10),
        "train_accuracy.total": torch.zeros(3),
        "projector.0.weight": torch.ones(4, 64),
        "queue": torch.ones(4, 5),
        "queue_ptr": torch.zeros(1, dtype=torch.int64),
        "step": ONE,
    }
    read = taken(tmp_path, {"state_dict": {**under("model."), **beside}})
    assert same(read.tensors)
    assert set(read.left_out) == set(beside)


@pytest.mark.parametrize(
    "beside",
    [
        {"normalize.mean": torch.ones(3)},  # a layer before the net
        {"temperature": torch.tensor(0.5)},  # of the logits
        {"neck.weight": torch.ones(64)},  # between trunk and head
        {"1.weight": torch.ones(3, 10)},  # a layer behind the head
        {"conv1.weight": STATE["conv1.weight"]},  # of the name that one of the net's has
    ],
)
def test_what_may_matter_to_the_logits_is_kept_and_so_refused_later(tmp_path: Path, beside: State) -> None:
    read = taken(tmp_path, {**under("model."), **beside})
    assert len(read.tensors) == len(STATE) + 1
    assert all(read.tensors[name].equal(STATE[name]) for name in STATE)


@pytest.mark.parametrize("name", ["resnet-8", "plain-8"])
def test_our_own_names_are_what_they_are(tmp_path: Path, name: str) -> None:
    state = state_of(name)
    read = taken(tmp_path, state)
    assert same(read.tensors, state)
    assert (read.prefix, read.head, read.zero_bias, read.left_out) == ("", None, False, ())


class Odd(Importer):
    """A plugin whose nets have neither a head nor stages."""

    kind = "odd"

    def default_normalization(self, model: ModelSpec) -> str:
        return "imagenet"

    def recognises(self, names: Any) -> bool:
        return any(name.endswith("mix.weight") for name in names)


def test_the_nets_of_a_plugin_are_found_too(tmp_path: Path) -> None:
    state = {f"blocks.{number}.mix.weight": torch.ones(2, 2) for number in range(3)}
    torch.save({"model": state, "model_ema": {**state, "extra": ONE}}, tmp_path / "net")
    read = read_weights(tmp_path / "net", {"odd": Odd()})
    assert same(read.tensors, state)
    assert (read.name, read.others) == ("model", ("model_ema",))


@pytest.mark.parametrize(
    ("name", "averaged"),
    [
        ("model_ema", True),
        ("ema", True),
        ("state_dict_ema", True),
        ("averaged_model", True),
        ("swa_model.module", True),
        ("module.encoder_k", True),
        ("model", False),
        ("schema", False),
        ("module.encoder_q", False),
    ],
)
def test_names_of_averages(name: str, averaged: bool) -> None:
    assert is_averaged(name) == averaged


def test_common_prefix() -> None:
    assert common_prefix(["a.b.c", "a.b.d.e"]) == "a.b."
    assert common_prefix(["a.b", "c.b"]) == ""
    assert common_prefix(["a.b", "ab.c"]) == ""
