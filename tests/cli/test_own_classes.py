"""``rescli import`` of nets for images of one's own, whose classes somebody has to name."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import rescli as front_door
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.models.specs import model_spec

Rescli = Callable[..., Any]

CLASSES = ("ant", "bee", "cat")


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
    assert "in another order" in answer.err
    assert "as given: cat, ant, bee; in the file: bee, ant, cat." in answer.err
    answer = rescli(*other[:-1], own_images / "third.safetensors", "--classes", "dog,ant,bee")
    assert "has other classes for its outputs: bee, ant, cat." in answer.err
    assert rescli(*own, "--data-root", own_images, *tried.split()).code == 0


def test_other_names_than_the_folders_are_said(
    rescli: Rescli, tmp_path: Path, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    numbers = {"n01": 0, "n02": 1, "\x1b[31mn03": 2}
    torch.save({"model": fine_tuned.state_dict(), "class_to_idx": numbers}, tmp_path / "own.pth")
    answer = rescli(*own, "--data-root", own_images)
    assert answer.code == 0
    assert answer.err == (
        f"warning: {tmp_path / 'own.pth'} has other classes for its outputs: n01, n02, \\x1b[31mn03.\n"
    )
    assert "ant, bee, cat (the folders of --data-root)" in answer.out


def test_a_net_with_one_output_is_no_classifier_here(
    rescli: Rescli, tmp_path: Path, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    tensors = fine_tuned.state_dict()
    one = {name: tensor[:1] if name.startswith("fc.") else tensor for name, tensor in tensors.items()}
    torch.save(one, tmp_path / "own.pth")
    for classes in ([], ["--classes", "ant,bee,cat"], ["--data-root", own_images]):
        answer = rescli(*own, *classes)
        assert answer.code == 4
        assert "own.pth has a single output, and no net here has fewer than two" in answer.err
        assert "--classes" not in answer.err
    answer = rescli(*own, "--classes", "ant")
    assert (answer.code, "a net with a single output is no classifier here" in answer.err) == (2, True)


def test_an_order_that_a_line_cannot_give(
    rescli: Rescli, tmp_path: Path, own: list[object], own_images: Path, fine_tuned: nn.Module
) -> None:
    names = ["cat", "ant", "bee, wasp"]
    (own_images / "bee").rename(own_images / "bee, wasp")
    torch.save({"model": fine_tuned.state_dict(), "classes": names}, tmp_path / "own.pth")
    answer = rescli(*own, "--data-root", own_images)
    assert answer.code == 2
    assert "--classes FILE (a text file with a name on each line, in that order)" in answer.err
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    assert rescli(*own, "--data-root", own_images, "--classes", tmp_path / "names.txt").code == 0


def test_classes_of_validation_folders_alone(rescli: Rescli, own: list[object], own_images: Path) -> None:
    folder = own_images.rename(own_images.with_name("photos-val"))
    own_images.mkdir()
    folder.rename(own_images / "val")
    answer = rescli(*own, "--data-root", own_images)
    assert (answer.code, answer.err) == (0, "")
    command = answer.out.splitlines()[-1].partition("rescli ")[2]
    answer = rescli(*shlex.split(command), "--device", "cpu", "--precision", "fp32", "--json")
    assert (answer.code, answer.json["results"][0]["num_images"]) == (0, 6)


def test_names_of_the_file_are_shown_without_commands_to_the_terminal(
    rescli: Rescli, tmp_path: Path, own: list[object], fine_tuned: nn.Module
) -> None:
    evil = "\x1b]0;evil\x07"
    content = {evil: {f"{evil}.{key}": one for key, one in fine_tuned.state_dict().items()}}
    content[evil] |= {f"{evil}note": "text", f"{evil}.loss.weight": torch.zeros(2)}
    torch.save({**content, "classes": [evil, "bee", "cat"]}, tmp_path / "own.pth")
    answer = rescli(*own)
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out + answer.err
    assert "classes        \\x1b]0;evil\\x07, bee, cat (as the file has them)" in answer.out
    assert "prefix         \\x1b]0;evil\\x07. taken off the names" in answer.out
    assert front_door.load(str(own[-1])).class_names == (evil, "bee", "cat")


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


@pytest.fixture
def small_net() -> nn.Module:
    net = model_spec("resnet-8", image_size=32).build(num_classes=3, image_size=32, seed=3)
    return net.eval()


@pytest.fixture
def small(tmp_path: Path, small_net: nn.Module) -> list[object]:
    torch.save(small_net.state_dict(), tmp_path / "small.pth")
    return [
        *("import", tmp_path / "small.pth", "--dataset", "imagefolder"),
        *("--out", tmp_path / "small.safetensors"),
    ]


def test_nets_for_small_images_of_ones_own(
    rescli: Rescli, small: list[object], own_images: Path, small_net: nn.Module
) -> None:
    typed = [*small, "--model", "resnet-8", "--data-root", own_images]
    answer = rescli(*typed)
    assert (answer.code, answer.out) == (2, "")
    assert "imagefolder has images of 224 pixels; of 32 pixels there is a resnet-8." in answer.err
    tried = answer.err.splitlines()[-1].strip().partition(" (")[0]
    assert tried == "--set data.dataset.image_size=32"
    answer = rescli(*typed, *tried.split())
    assert (answer.code, answer.err) == (0, "")
    command = answer.out.splitlines()[-1].partition("rescli ")[2]
    answer = rescli(*shlex.split(command), "--device", "cpu", "--precision", "fp32", "--json")
    assert answer.code == 0, answer.err
    net, wrong = front_door.load(str(small[-1])), 0
    for label, name in enumerate(CLASSES):
        for file in sorted((own_images / name).iterdir()):
            x = net.preprocess(file)[None]
            assert x.shape == (1, 3, 32, 32)
            with torch.inference_mode():
                torch.testing.assert_close(net.model(x), small_net(x), rtol=1e-5, atol=1e-5)
                wrong += int(small_net(x).argmax() != label)
    assert answer.json["results"][0]["top1_error"] == pytest.approx(100 * wrong / 6)


def test_the_way_out_of_another_family_works(rescli: Rescli, small: list[object]) -> None:
    typed = [*small, "--classes", "a,b,c"]
    answer = rescli(*typed, "--model", "resnet-18")
    assert answer.code == 4
    assert (
        "the resnet-8 of the cifar family, which imagefolder with images of 224 pixels does not" in answer.err
    )
    tried = answer.err.splitlines()[-1].partition("try ")[2].partition(" (")[0]
    assert rescli(*typed, *shlex.split(tried)).code == 0


def test_keys_of_the_model(rescli: Rescli, tmp_path: Path, small: list[object]) -> None:
    wide = model_spec("resnet-8", image_size=32, width=8, shortcut="B")
    torch.save(wide.build(num_classes=3, image_size=32, seed=3).state_dict(), tmp_path / "small.pth")
    keys = [
        "--set",
        "data.dataset.image_size=32",
        "--set",
        "model.width=8",
        "--set",
        "model.block.kind=basic",
    ]
    typed = [*small, "--model", "resnet-8", "--shortcut", "B", "--classes", "a,b,c", *keys]
    assert rescli(*typed).code == 0
    assert Checkpoint.read(Path(str(small[-1]))).model == wide


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("optimizer.lr=0.1", "an import has no key 'optimizer.lr'"),
        ("model.widht=8", "widht"),
        ("data.dataset.image_siz=32", "image_siz"),
        ("data.dataset.image_size=33", "a multiple of 32"),
        ("model.width", "is not KEY=VALUE"),
    ],
)
def test_keys_that_cannot_be(rescli: Rescli, small: list[object], key: str, says: str) -> None:
    answer = rescli(*small, "--model", "resnet-8", "--classes", "a,b,c", "--set", key)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


def test_a_depth_of_no_family_is_refused_as_before(rescli: Rescli, small: list[object]) -> None:
    answer = rescli(*small, "--model", "resnet-9", "--classes", "a,b,c")
    assert answer.code == 2
    assert "image_size" not in answer.err
