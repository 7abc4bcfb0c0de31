"""``rescli import`` of what training programs of other people save."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import rescli as front_door
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.models.specs import model_spec

Rescli = Callable[..., Any]
State = dict[str, Tensor]

CLASSES = ("ant", "bee", "cat")


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


@pytest.fixture(scope="module")
def fine_tuned() -> nn.Module:
    """torchvision's ResNet-18 as people change it for three classes of their own."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    net: Any = torchvision.models.resnet18()
    net.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 3))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    return net.eval()  # type: ignore[no-any-return]


@pytest.fixture
def own_images(tmp_path: Path) -> Path:
    random = torch.Generator().manual_seed(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(2):
            pixels = torch.randint(0, 256, (240, 260, 3), generator=random, dtype=torch.uint8).numpy()
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def own(tmp_path: Path, fine_tuned: nn.Module) -> list[object]:
    torch.save(fine_tuned.state_dict(), tmp_path / "own.pth")
    return [
        *("import", tmp_path / "own.pth", "--model", "resnet-18", "--shortcut", "B"),
        *("--dataset", "imagefolder", "--out", tmp_path / "own.safetensors"),
    ]


def test_own_classes_are_evaluated_as_torchvision_does(
    rescli: Rescli, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    """Case 15: the classes from the folders, the head in a Sequential; the same logits."""
    answer = rescli(*own, "--data-root", own_images)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "resnet-18, shortcut B, 3 classes of imagefolder" in lines
    assert "classes        ant, bee, cat (the folders of --data-root)" in lines
    assert "head           fc.1, taken as fc" in lines
    command = lines[-1].partition("rescli ")[2]
    assert command == f"eval {own[-1]} --data-root {own_images}"
    answer = rescli(*shlex.split(command), "--device", "cpu", "--precision", "fp32", "--json", "--per-class")
    assert answer.code == 0, answer.err
    net, wrong = front_door.load(str(own[-1])), 0
    assert net.class_names == CLASSES
    for label, name in enumerate(CLASSES):
        for file in sorted((own_images / name).iterdir()):
            x = net.preprocess(file)[None]
            with torch.inference_mode():
                expected, found = fine_tuned(x), net.model(x)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
            wrong += int(expected.argmax() != label)
    (row,) = answer.json["results"]
    assert (row["num_images"], row["top1_error"]) == (6, pytest.approx(100 * wrong / 6))


def test_own_classes_in_the_order_that_is_given(
    rescli: Rescli, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    answer = rescli(*own, "--classes", "cat,ant,bee", "--data-root", own_images, "--json")
    assert answer.json["classes_from"] == "given"
    assert front_door.load(str(own[-1])).class_names == ("cat", "ant", "bee")
    command = answer.json["eval_command"].partition("rescli ")[2]
    result = rescli(*shlex.split(command), "--device", "cpu", "--precision", "fp32", "--json")
    assert result.code == 0, result.err
    wrong, net = 0, front_door.load(str(own[-1]))
    for name in CLASSES:
        for file in sorted((own_images / name).iterdir()):
            with torch.inference_mode():
                output = int(fine_tuned(net.preprocess(file)[None]).argmax())
            wrong += int(("cat", "ant", "bee")[output] != name)
    assert result.json["results"][0]["top1_error"] == pytest.approx(100 * wrong / 6)


def test_own_classes_need_names(rescli: Rescli, own: list[object]) -> None:
    answer = rescli(*own)
    assert (answer.code, answer.out) == (2, "")
    assert "--data-root DIR" in answer.err
    assert "--classes NAME,NAME,..." in answer.err


def test_names_that_the_file_has(
    rescli: Rescli, tmp_path: Path, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    numbers = {"bee": 0, "ant": 1, "cat": 2}
    torch.save({"model": fine_tuned.state_dict(), "class_to_idx": numbers}, tmp_path / "own.pth")
    assert "classes        bee, ant, cat (as the file has them)" in rescli(*own).out
    Path(str(own[-1])).unlink()
    answer = rescli(*own, "--data-root", own_images)
    assert answer.code == 2
    assert "its output 0 is 'bee', not 'ant'." in answer.err
    tried = answer.err.splitlines()[-1].strip()
    assert tried == "--classes bee,ant,cat"
    other = [*own[:-1], own_images / "other.safetensors"]
    answer = rescli(*other, "--classes", "cat,ant,bee")
    assert answer.code == 0
    assert "has other classes for its outputs: bee, ant, cat." in answer.err
    assert rescli(*own, "--data-root", own_images, *tried.split()).code == 0


@pytest.mark.parametrize(
    ("given", "says", "tried"),
    [
        (["--classes", "a,b"], "imagefolder has 2", "--classes NAME,NAME,..."),
        (["--dataset", "imagenet"], "imagenet has 1000", "--dataset imagefolder --data-root DIR"),
    ],
)
def test_counts_that_disagree(
    rescli: Rescli, own: list[object], given: list[str], says: str, tried: str
) -> None:
    answer = rescli(*own, *given)
    assert answer.code == 4
    assert f"fc.bias (3, expected {says.split()[-1]})" in answer.err
    assert f"these look like 3 classes where {says}: try {tried}" in answer.err


def test_two_linear_layers(rescli: Rescli, tmp_path: Path, own: list[object], fine_tuned: nn.Module) -> None:
    state = {key: one for key, one in fine_tuned.state_dict().items() if not key.startswith("fc.")}
    head = nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict()
    torch.save({**state, **{f"fc.{key}": one for key, one in head.items()}}, tmp_path / "own.pth")
    answer = rescli(*own, "--classes", "a,b,c")
    assert answer.code == 4
    assert "2 linear layers, fc.0, fc.2" in answer.err
