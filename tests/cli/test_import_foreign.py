"""``rescli import`` of what training programs of other people save."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.models.specs import model_spec

Rescli = Callable[..., Any]
State = dict[str, Tensor]


def small(seed: int = 3) -> State:
    net = model_spec("resnet-8", image_size=32).build(num_classes=10, image_size=32, seed=seed)
    return dict(net.state_dict())


@pytest.fixture
def flags(tmp_path: Path) -> list[object]:
    return ["--model", "resnet-8", "--dataset", "cifar10", "--out", tmp_path / "net.safetensors"]


@pytest.mark.parametrize("name", ["model_best.pth.tar", "last.ckpt", "pytorch_model.bin", "weights"])
def test_any_name_of_a_file(rescli: Rescli, tmp_path: Path, flags: list[object], name: str) -> None:
    """Case 13."""
    torch.save({"state_dict": small(), "epoch": 3}, tmp_path / name)
    answer = rescli("import", tmp_path / name, *flags)
    assert (answer.code, answer.err) == (0, "")
    tensors = Checkpoint.read(Path(str(flags[-1]))).tensors
    assert all(tensors[key].equal(tensor) for key, tensor in small().items())


AVERAGED = {"n_averaged": torch.tensor(9), **{f"module.{key}": one for key, one in small(seed=4).items()}}


@pytest.mark.parametrize(
    ("content", "plain", "averaged"),
    [
        ({"model": small(), "model_ema": small(seed=4)}, "model", "model_ema"),
        ({"model": small(), "model_ema": AVERAGED, "epoch": 3}, "model", "model_ema"),
        ({"state_dict": small(), "state_dict_ema": small(seed=4)}, "state_dict", "state_dict_ema"),
    ],
    ids=["model", "torchvision", "timm"],
)
def test_the_answer_says_which_weights_and_how_to_take_the_others(
    rescli: Rescli, tmp_path: Path, flags: list[object], content: Any, plain: str, averaged: str
) -> None:
    """Case 14: both are in the file."""
    torch.save(content, tmp_path / "both.pth")
    answer = rescli("import", tmp_path / "both.pth", *flags)
    line = f"weights        {plain} (also there: {averaged}; --weights {averaged} takes another)"
    assert line in answer.out.splitlines()
    checkpoint = Checkpoint.read(Path(str(flags[-1])))
    assert checkpoint.tensors["conv1.weight"].equal(small()["conv1.weight"])
    assert checkpoint.data["imported_from"]["weights"] == plain
    other = [*flags[:-1], tmp_path / "other.safetensors"]
    answer = rescli("import", tmp_path / "both.pth", *other, "--weights", averaged, "--json")
    assert (answer.json["weights"], answer.json["other_weights"]) == (averaged, [plain])
    tensors = Checkpoint.read(tmp_path / "other.safetensors").tensors
    assert tensors["conv1.weight"].equal(small(seed=4)["conv1.weight"])


def test_a_set_that_is_not_there(rescli: Rescli, tmp_path: Path, flags: list[object]) -> None:
    torch.save({"model": small(), "model_ema": AVERAGED}, tmp_path / "both.pth")
    answer = rescli("import", tmp_path / "both.pth", *flags, "--weights", "modl_ema")
    assert (answer.code, answer.out) == (2, "")
    assert "known: model, model_ema. Did you mean 'model_ema'?" in answer.err


def test_the_way_out_of_several_sets_works(rescli: Rescli, tmp_path: Path, flags: list[object]) -> None:
    torch.save({"model": small(), "best": small(seed=4)}, tmp_path / "two.pth")
    answer = rescli("import", tmp_path / "two.pth", *flags)
    assert answer.code == 2
    assert "several sets of weights: model, best" in answer.err
    tried = answer.err.splitlines()[-1].partition("try ")[2]
    assert tried == "--weights model"
    assert rescli("import", tmp_path / "two.pth", *flags, *tried.split()).code == 0


def test_an_average_alone(rescli: Rescli, tmp_path: Path, flags: list[object]) -> None:
    """Case 14: as ``AveragedModel`` saves it."""
    torch.save(AVERAGED, tmp_path / "ema.pth")
    answer = rescli("import", tmp_path / "ema.pth", *flags)
    assert answer.code == 0
    assert "weights        module, an average; there are no others" in answer.out
    assert "left out       n_averaged" in answer.out
    tensors = Checkpoint.read(Path(str(flags[-1]))).tensors
    assert tensors["conv1.weight"].equal(small(seed=4)["conv1.weight"])


@pytest.mark.parametrize("prefix", ["model.", "encoder.", "backbone.", "module.encoder.", "net.0."])
def test_any_prefix(rescli: Rescli, tmp_path: Path, flags: list[object], prefix: str) -> None:
    """Case 14."""
    torch.save({prefix + key: tensor for key, tensor in small().items()}, tmp_path / "net.pth")
    answer = rescli("import", tmp_path / "net.pth", *flags)
    assert answer.code == 0, answer.err
    assert f"prefix         {prefix} taken off the names" in answer.out


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_said(
    rescli: Rescli, tmp_path: Path, flags: list[object], dtype: torch.dtype
) -> None:
    state = {key: one.to(dtype) if one.is_floating_point() else one for key, one in small().items()}
    torch.save(state, tmp_path / "net.pth")
    answer = rescli("import", tmp_path / "net.pth", *flags)
    assert f"numbers        {str(dtype).removeprefix('torch.')}, now float32" in answer.out
    tensors = Checkpoint.read(Path(str(flags[-1]))).tensors
    assert tensors["conv1.weight"].equal(state["conv1.weight"].float())


def test_no_layout_names_the_nearest_and_the_first_differences(
    rescli: Rescli, tmp_path: Path, flags: list[object]
) -> None:
    state = {
        key.replace("conv1.", "conv1.0.") if key[:5] == "conv1" else key: t for key, t in small().items()
    }
    torch.save(state, tmp_path / "deep_stem.pth")
    answer = rescli("import", tmp_path / "deep_stem.pth", *flags)
    assert answer.code == 4
    assert (
        "The nearest is torchvision, but of resnet-8 there are 1 missing: conv1.weight; "
        "1 extra: conv1.0.weight." in answer.err
    )


def test_three_differences_of_each_kind_and_the_net_it_looks_like(
    rescli: Rescli, tmp_path: Path, flags: list[object]
) -> None:
    torch.save(small(), tmp_path / "net.pth")
    answer = rescli("import", tmp_path / "net.pth", *flags, "--model", "resnet-14")
    assert answer.code == 4
    assert (
        "missing: layer1.1.bn1.bias, layer1.1.bn1.running_mean, layer1.1.bn1.running_var and 27 more"
        in answer.err
    )
    assert "these look like resnet-8: try --model resnet-8" in answer.err


def test_the_way_out_of_bottlenecks_works(rescli: Rescli, tmp_path: Path) -> None:
    with torch.device("meta"):
        names = model_spec("resnet-50", image_size=224).build(num_classes=1000, image_size=224, seed=0)
    tensors = {key: torch.zeros(tensor.shape) for key, tensor in names.state_dict().items()}
    torch.save(tensors, tmp_path / "net.pth")
    typed = ["import", tmp_path / "net.pth", "--dataset", "imagenet", "--out", tmp_path / "net.safetensors"]
    answer = rescli(*typed, "--model", "resnet-18")
    assert "these look like resnet-50, shortcut B: try " in answer.err
    tried = (
        answer.err.splitlines()[-1]
        .partition("try ")[2]
        .replace(" (as torchvision, timm and pycls have it)", "")
    )
    answer = rescli(*typed, *shlex.split(tried))
    assert answer.code == 0, answer.err


@pytest.mark.filterwarnings("ignore:.*(Sparse|sparse).*")
def test_a_head_that_nobody_can_take_is_not_called_missing(
    rescli: Rescli, tmp_path: Path, flags: list[object]
) -> None:
    state = small()
    state["fc.weight"] = state["fc.weight"].to_sparse()
    torch.save(state, tmp_path / "net.pth")
    answer = rescli("import", tmp_path / "net.pth", *flags)
    assert answer.code == 4
    assert "among its tensors, 1 that nobody can take: fc.weight (" in answer.err
