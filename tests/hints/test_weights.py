"""What is suggested where weights of other programs are imported, and where a training begins with some."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import rescli as library
from rescli import registry
from rescli.checkpoints.header import warm_start_from
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ShapesSpec
from rescli.importers.torchvision import TorchvisionImporter
from rescli.models.specs import model_spec
from rescli.spec.toml import to_toml

Heed = Callable[..., Any]

IMPORT = "import net.pth --model resnet-8 --dataset {} --out net.safetensors"
CLASSES = "importers/class_names.py"
GUESS = "importers/guess.py"


def state_of(
    model: str = "resnet-8", *, num_classes: int = 10, size: int = 32, **given: Any
) -> dict[str, torch.Tensor]:
    spec = model_spec(model, image_size=size, **given)
    return dict(spec.build(num_classes=num_classes, image_size=size, seed=3).state_dict())


def save(place: Path, content: object) -> None:
    torch.save(content, place / "net.pth")


def test_of_the_last_line(heed: Heed, place: Path) -> None:
    save(place, state_of())
    heed(IMPORT.format("shapes"), 0, behind="--device cpu --batch-size 500")


def test_of_a_suffix(heed: Heed, place: Path) -> None:
    save(place, state_of())
    typed = IMPORT.format("cifar10").replace("net.safetensors", "net.pt")
    heed(typed, 2, reaches=["workflows/import_weights.py out"])


def test_of_another_net(heed: Heed, place: Path) -> None:
    save(place, state_of("resnet-14"))
    heed(IMPORT.format("cifar10"), 4, reaches=[f"{GUESS} model"])
    save(place, state_of(shortcut="B"))
    heed(IMPORT.format("cifar10"), 4, reaches=[f"{GUESS} shortcut"])


def test_of_bottlenecks(heed: Heed, place: Path) -> None:
    save(place, state_of("resnet-50", num_classes=2, size=224, width=64, shortcut="B", stride_on="3x3"))
    typed = "import net.pth --model resnet-18 --dataset imagefolder --classes cat,dog --out net.safetensors"
    heed(typed, 4, reaches=[f"{GUESS} model", f"{GUESS} stride_on", f"{GUESS} shortcut"])
    typed = typed.replace("resnet-18", "resnet-50 --shortcut B")
    heed(typed, 2, reaches=["importers/asked.py stride_on"])


def test_of_another_width(heed: Heed, place: Path) -> None:
    save(place, state_of(width=4))
    heed(IMPORT.format("cifar10"), 4, reaches=[f"{GUESS} model.width"])
    save(place, state_of(width=4, shortcut="B"))
    heed(IMPORT.format("cifar10"), 4, reaches=[f"{GUESS} model.width", f"{GUESS} shortcut"])


def test_of_other_classes(heed: Heed, place: Path, photos: Path) -> None:
    save(place, state_of("resnet-18", num_classes=2, size=224, shortcut="B"))
    imagenet = IMPORT.format("imagenet").replace("resnet-8", "resnet-18 --shortcut B")
    heed(imagenet, 4, reaches=[f"{GUESS} dataset", f"{GUESS} data_root"], DIR="photos")
    own = imagenet.replace("imagenet", "imagefolder")
    heed(f"{own} --classes a,b,c", 4, reaches=[f"{GUESS} classes"], fill={"NAME,NAME,...": "a,b"})
    reaches = ["importers/convert.py data_root", "importers/convert.py classes"]
    heed(own, 2, reaches=reaches, DIR="photos", fill={"NAME,NAME,...": "a,b"})
    reaches = [f"{CLASSES} data_root", f"{CLASSES} classes"]
    dropped = ["--classes", "photos"]  # "in place of the names"
    typed = f"{own} --classes photos"
    heed(typed, 2, reaches=reaches, dropped=dropped, DIR="photos", fill={"NAME,NAME,...": "a,b"})


def test_of_classes_of_a_known_set(heed: Heed, place: Path, photos: Path) -> None:
    save(place, state_of("resnet-18", num_classes=2, size=224, shortcut="B"))
    typed = IMPORT.format("imagenet").replace("resnet-8", "resnet-18 --shortcut B")
    heed(f"{typed} --classes a,b", 2, reaches=[f"{CLASSES} dataset"])


def test_of_classes_in_another_order(heed: Heed, place: Path, photos: Path) -> None:
    state = state_of("resnet-18", num_classes=2, size=224, shortcut="B")
    save(place, {"state_dict": state, "class_names": ["dog", "cat"]})
    typed = IMPORT.format("imagefolder").replace("resnet-8", "resnet-18 --shortcut B")
    heed(f"{typed} --data-root photos", 2, reaches=[f"{CLASSES} classes"])


def test_of_several_sets(heed: Heed, place: Path) -> None:
    save(place, {"one": state_of(), "another": state_of()})
    heed(IMPORT.format("cifar10"), 2, reaches=["importers/reading/weights_file.py which"])


def test_of_two_layouts(heed: Heed, place: Path) -> None:
    """A plugin's may fit the same names."""
    save(place, state_of())
    with registry.override("importers", "twin", TorchvisionImporter):
        heed(IMPORT.format("cifar10"), 2, reaches=["importers/convert.py layout"])
        save(place, {name.replace("fc.", "classifier."): one for name, one in state_of().items()})
        heed(IMPORT.format("cifar10"), 2, reaches=["importers/reading/weights_file.py layout"])


def test_of_a_checkpoint(heed: Heed, place: Path, checkpoint_of: Callable[..., Any]) -> None:
    few = ShapesSpec(num_train=20, num_val=20, num_test=20)
    checkpoint_of("resnet-8", dataset=few).write(place / "net.pth")
    heed(
        IMPORT.format("shapes"),
        2,
        reaches=["importers/reading/file_content.py evaluate"],
        behind="--device cpu",
    )


FINETUNE = (
    "train imagefolder/32 --data-root photos --from net.safetensors --iterations 2 --batch-size 4 "
    "--device cpu --precision fp32 --workers 0 --threads 1"
)


def test_of_weights_of_another_net(
    heed: Heed, place: Path, photos: Path, checkpoint_of: Callable[..., Any]
) -> None:
    pets = ImageFolderSpec(image_size=32, classes=("cat", "dog"), num_train=6, num_val=6, held_out=False)
    checkpoint_of("resnet-8", dataset=pets, normalization="per-channel").write(place / "net.safetensors")
    for named in ("--model resnet-20", "--depth 20", "--shortcut B"):
        heed(f"{FINETUNE} {named}", 4, reaches=["spec/warm_start.py net_of_start"], dropped=named.split())
    written = place / "mine.toml"
    spec = library.spec("imagefolder/32", {"iterations": 2, "model.width": 8}).to_dict()
    start = warm_start_from(place / "net.safetensors")
    written.write_text(to_toml({**spec, "start_from": start.as_section()}))
    typed = FINETUNE.replace("imagefolder/32", "mine.toml").replace(" --from net.safetensors", "")
    heed(typed, 4, reaches=["checkpoints/warm_start.py net_of_start"])


def test_of_weights_that_saw_other_images(
    heed: Heed, place: Path, photos: Path, checkpoint_of: Callable[..., Any]
) -> None:
    pets = ImageFolderSpec(
        image_size=64, orientation="upright", classes=("cat", "dog"), num_train=6, num_val=6, held_out=False
    )
    small = f"{FINETUNE} --set data.dataset.orientation=stored --set data.normalization=per-channel --dry-run"
    for size, normalization, key in (
        (64, "per-channel", "data.dataset.image_size"),
        (64, "per-channel", "data.dataset.orientation"),
        (32, "per-pixel-mean", "data.normalization"),
    ):
        seen = pets.model_copy(update={"image_size": size})
        net = checkpoint_of("resnet-8", dataset=seen, family="cifar", normalization=normalization)
        net.write(place / "net.safetensors")
        heed(small, 0, reaches=[f"workflows/results/oddities.py {key}"])


def test_of_a_mean_image_of_another_size(
    heed: Heed, place: Path, photos: Path, checkpoint_of: Callable[..., Any]
) -> None:
    pets = ImageFolderSpec(image_size=64, classes=("cat", "dog"), num_train=6, num_val=6, held_out=False)
    checkpoint_of("resnet-18", dataset=pets, width=4).write(place / "net.safetensors")
    larger = "--set data.dataset.image_size=96 --set data.normalization=per-pixel-mean --set model.width=4"
    typed = f"{FINETUNE} {larger}".replace("/32", "/64")
    heed(typed, 4, reaches=["checkpoints/warm_start.py data.dataset.image_size"])
