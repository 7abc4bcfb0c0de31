from __future__ import annotations

from typing import Any

import pytest
import torch

from rescli.data.cifar.classes import CIFAR10_CLASSES
from rescli.data.specs import Cifar10Spec, Cifar100Spec
from rescli.errors import CheckpointError, UnknownNameError, UsageError
from rescli.importers.akamaster import AkamasterImporter
from rescli.importers.convert import recognise, to_checkpoint
from rescli.importers.normalizations import NORMALIZATIONS
from rescli.importers.reading.weights_file import Weights
from rescli.importers.torchvision import TorchvisionImporter
from rescli.models.specs import model_spec
from rescli.remedy import Remedy

IMPORTERS = {"akamaster": AkamasterImporter(), "torchvision": TorchvisionImporter()}


def weights(state: dict[str, torch.Tensor]) -> Weights:
    return Weights(dict(state), "net.th", "f" * 64)


def converted(state: dict[str, torch.Tensor], name: str = "resnet-8", **options: Any) -> Any:
    dataset = options.pop("dataset", Cifar10Spec())
    normalization = options.pop("normalization", None)
    return to_checkpoint(
        weights(state),
        recognise(weights(state), IMPORTERS),
        model=model_spec(name, image_size=32, **options),
        dataset=dataset,
        normalization=normalization,
    )


def test_the_checkpoint_says_where_it_comes_from(akamaster: Any) -> None:
    checkpoint = converted(akamaster(8).state)
    assert checkpoint.data == {
        "imported_from": {
            "file": "net.th",
            "sha256": "f" * 64,
            "layout": "akamaster",
            "normalization": "imagenet",
        }
    }
    assert (checkpoint.spec, checkpoint.iteration, checkpoint.selection) == (None, 0, "imported")
    assert (checkpoint.results, checkpoint.precision) == ({}, "fp32")
    assert checkpoint.class_names == CIFAR10_CLASSES
    assert checkpoint.model.name == "resnet-8"
    assert checkpoint.normalization.std_C.tolist() == pytest.approx(NORMALIZATIONS["imagenet"][1])


def test_another_normalization_is_taken_and_noted(akamaster: Any) -> None:
    checkpoint = converted(akamaster(8).state, normalization="half")
    assert checkpoint.normalization.mean_CHW.tolist() == [[[0.5]]] * 3
    assert checkpoint.data["imported_from"]["normalization"] == "half"
    with pytest.raises(UnknownNameError, match="unknown normalization 'halff'"):
        converted(akamaster(8).state, normalization="halff")


def test_missing_counters_are_zero_and_given_ones_kept(akamaster: Any) -> None:
    state = akamaster(8).state
    assert not any("num_batches" in name for name in state)
    state["bn1.num_batches_tracked"] = torch.tensor(64_000)
    tensors = converted(state).tensors
    assert tensors["bn1.num_batches_tracked"] == 64_000
    assert tensors["layer3.0.bn2.num_batches_tracked"] == 0
    assert tensors["layer3.0.bn2.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_fp32(akamaster: Any, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in akamaster(8).state.items()}
    tensors = converted(state).tensors
    assert {t.dtype for n, t in tensors.items() if "num_batches" not in n} == {torch.float32}
    assert tensors["conv1.weight"].equal(state["conv1.weight"].float())


def test_every_difference_is_named_sorted_and_counted(akamaster: Any) -> None:
    state = akamaster(8).state
    for name in ("layer2.0.bn1.weight", "conv1.weight"):
        del state[name]
    state.update({"linear.bias": torch.zeros(11), "ema": torch.zeros(1)})
    with pytest.raises(CheckpointError) as caught:
        to_checkpoint(
            weights(state), AkamasterImporter(), model=model_spec("resnet-8"), dataset=Cifar10Spec()
        )
    assert str(caught.value) == (
        "net.th does not fit resnet-8 on cifar10: 2 missing: conv1.weight, layer2.0.bn1.weight; "
        "1 extra: ema; 1 misshapen: linear.bias (11, expected 10)."
    )


@pytest.mark.parametrize(
    ("original", "name", "options", "hint", "settings"),
    [
        ({"depth": 32}, "resnet-20", {}, "these look like resnet-32", {"model": "resnet-32"}),
        ({"depth": 8}, "resnet-20", {}, "these look like resnet-8", {"model": "resnet-8"}),
        ({"depth": 8, "option": "B"}, "resnet-8", {}, "these look like shortcut B", {"shortcut": "B"}),
        ({"depth": 8}, "resnet-8", {"shortcut": "B"}, "these look like shortcut A", {"shortcut": "A"}),
        (
            {"depth": 14, "option": "B"},
            "resnet-8",
            {},
            "these look like resnet-14, shortcut B",
            {"model": "resnet-14", "shortcut": "B"},
        ),
        (
            {"depth": 8},
            "resnet-8",
            {"dataset": Cifar100Spec()},
            "these look like 10 classes where cifar100 has 100",
            {"dataset": "NAME"},
        ),
        ({"depth": 8, "width": 32}, "resnet-8", {}, "these look like a width of 32", {"model.width": 32}),
    ],
)
def test_the_hint_says_which_net_it_looks_like(
    akamaster: Any, original: Any, name: str, options: Any, hint: str | None, settings: dict[str, str]
) -> None:
    with pytest.raises(CheckpointError, match=f"net.th does not fit {name} on cifar10") as caught:
        converted(akamaster(**original).state, name, **options)
    assert caught.value.hint == hint
    assert {remedy.setting: remedy.value for remedy in caught.value.remedies} == settings


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_named(akamaster: Any, value: float) -> None:
    state = akamaster(8).state
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = value
    state["linear.bias"][3] = value
    with pytest.raises(CheckpointError, match=r"not finite: layer1\.0\.conv1\.weight, linear\.bias\."):
        converted(state)


def test_a_float64_beyond_fp32_is_not_finite_either(akamaster: Any) -> None:
    state = akamaster(8).state
    state["linear.bias"] = state["linear.bias"].double() + 1e300
    with pytest.raises(CheckpointError, match=r"not finite: linear\.bias\."):
        converted(state)


def test_integers_are_no_weights(akamaster: Any) -> None:
    state = akamaster(8).state
    state["linear.bias"] = torch.zeros(10, dtype=torch.int8)
    with pytest.raises(CheckpointError, match=r"not in floating point: linear\.bias \(int8\)"):
        converted(state)


def test_a_layout_that_nobody_knows() -> None:
    with pytest.raises(
        CheckpointError, match=r"no layout .*\(akamaster, torchvision\); its 2 tensors are u, v"
    ):
        recognise(weights({"v": torch.zeros(1), "u": torch.zeros(1)}), IMPORTERS)


def test_a_layout_that_two_claim(akamaster: Any) -> None:
    with pytest.raises(UsageError, match="could be in the layouts akamaster and fork") as caught:
        recognise(weights(akamaster(8).state), {**IMPORTERS, "fork": AkamasterImporter()})
    assert caught.value.hint == "say which"
    assert caught.value.remedies == (Remedy("layout", "akamaster"),)


def test_a_data_set_whose_classes_only_its_files_name(akamaster: Any) -> None:
    class FolderSpec(Cifar10Spec):
        @property
        def class_names(self) -> None:  # type: ignore[override]
            return None

    with pytest.raises(UsageError, match="class names of data set 'cifar10' stand in its files alone"):
        converted(akamaster(8).state, dataset=FolderSpec())
