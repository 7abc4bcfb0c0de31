"""What the pages of the handbook find when the tests run them: a folder of small things to work with.

``PAGES`` are the pages, ``blocks_of`` gives their blocks, ``fill`` makes the folder, ``small`` shortens
whatever a page trains.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from distributed_sets import SETS
from photographs import put_pictures
from sybil.document import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]

_MARK = re.compile(r"<!-- (not run|run|exit code): ([^\n]+?) -->\s*\Z")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)

_LONG = 100
"""Iterations above which a run is made small."""

_DEEPEST = 116
"""Layers of what stands for the net of 1202, which alone would take half a minute."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: its path in the checkout.
        heading: the last one above it.
        language: what stands behind the fence.
        code: all its lines.
        line: where the first of them stands.
        marks: what the comment right above it says: ``not run`` and why, ``run``, ``exit code``.
    """

    page: str
    heading: str
    language: str
    code: str
    line: int
    marks: Mapping[str, str]


def blocks_of(page: str) -> list[Block]:
    """The blocks of ``docs/python.md``, in order."""
    document = Document((ROOT / page).read_text(encoding="utf-8"), page)
    found = []
    for region in FencedCodeBlockLexer(r"[\w-]*")(document):
        above = document.text[: region.start]
        mark = _MARK.search(above)
        source = region.lexemes["source"]
        found.append(
            Block(
                page=page,
                heading=(_HEADING.findall(_FENCED.sub("", above)) or [""])[-1],
                language=region.lexemes["language"],
                code=source,
                line=document.text.count("\n", 0, region.start + source.offset) + 1,
                marks={mark[1]: mark[2]} if mark else {},
            )
        )
    return found


_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def fill(root: Path) -> None:
    """Photographs of three classes, two pictures, a finished run, its checkpoint under several names."""
    import rescli

    animals = ("ant", "bee", "cat")
    put_pictures(root / "photos/train", *(f"{name}/{n}.jpg" for name in animals for n in range(6)))
    put_pictures(root / "photos/val", *(f"{name}/{n}.jpg" for name in animals for n in range(2)))
    shutil.copytree(root / "photos", root / "icons")
    put_pictures(root, "cat.jpg", "dog.jpg", "photo.jpg")
    spec = rescli.spec("shapes/base", made_small({"model.depth": 8}))
    rescli.train(spec, out=root / "runs/NAME", device="cpu", kernels="plain", progress=False)
    names = ("ckpt", "a", "other", "plain-56", "resnet-56")
    for name in names:
        shutil.copy(root / "runs/NAME/checkpoints/last.safetensors", root / f"{name}.safetensors")
    rescli.train(spec, out=root / "second", seed=1, device="cpu", kernels="plain", progress=False)
    shutil.copy(root / "second/checkpoints/last.safetensors", root / "b.safetensors")
    shutil.rmtree(root / "second")
    shutil.copytree(root / "runs/NAME", root / "runs/my-run")


def fill_for(page: str, root: Path) -> None:
    """What only some pages name: sets as they are distributed, weights of others."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, (build, *_) in SETS.items():
        if name in text and not (root / name).exists():
            (root / name).mkdir(parents=True)
            build(root / name)
    for name, make in _WEIGHTS.items():
        if name in text:
            make(root / name)


def _akamaster(path: Path) -> None:
    import torch

    from rescli.models.specs import model_spec

    net = model_spec("resnet-20").build(num_classes=10, image_size=32, seed=0)
    torch.save({name.replace("fc.", "linear."): tensor for name, tensor in net.state_dict().items()}, path)


def _torchvision(name: str, num_classes: int, *keys: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import torch
        import torchvision

        def tensors() -> dict[str, Any]:
            net: Any = torchvision.models.get_model(name, weights=None, num_classes=num_classes)
            return dict(net.state_dict())

        torch.save({key: tensors() for key in keys} if keys else tensors(), path)

    return make


_WEIGHTS: dict[str, Callable[[Path], None]] = {
    "resnet20-12fca82f.th": _akamaster,
    "own.pth": _torchvision("resnet18", 3),
    "checkpoint.pth": _torchvision("resnet18", 1000, "model", "model_ema"),
}


def made_small(changes: Mapping[str, object] | None = None) -> dict[str, object]:
    """Keys of a run of a second on the embedded shapes, and ``changes``."""
    images = {f"data.dataset.num_{split}": 40 for split in ("train", "val", "test")}
    return {"iterations": 2, "data.batch_size": 4, "model.width": 4, **images, **(changes or {})}


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what a page does.

    Trainings of many iterations become two of a narrow net, CIFAR becomes forty made images, a trial of what
    an iteration costs is short, no export is read back, and no network is captured twice for ONNX.
    """
    from rescli.exporters.formats import onnx
    from rescli.spec import load

    whole = load.spec_from_dict

    def shortened(table: Mapping[str, Any]) -> Any:
        spec = whole(table)  # so that what is wrong is refused as ever
        return whole(_shortened(table)) if spec.iterations > _LONG else spec

    monkeypatch.setattr(load, "spec_from_dict", shortened)
    monkeypatch.setattr("rescli.data.cifar.images.read_cifar", _read_cifar)
    monkeypatch.setattr("rescli.runs.budget.trial.TRIAL_SECONDS", 0.1)
    monkeypatch.setattr("rescli.exporters.parity.check._read", _believed)
    monkeypatch.setattr(onnx, "_captured", _once(onnx._captured))


_GRAPHS: dict[tuple[str, Any], Any] = {}
"""SHA-256 of a checkpoint and options of an export to the graph: capturing one takes seconds."""


def _once(captured: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def capture(subject: Any) -> Any:
        options = subject.options
        if options.precision == "int8":  # that is made of the graph in fp32
            options = replace(options, precision="fp32", quantization="static")
        key = subject.checkpoint.sha256, options
        if key not in _GRAPHS:
            _GRAPHS[key] = captured(subject)
        model, opset = _GRAPHS[key]
        copy = type(model)()
        copy.CopyFrom(model)
        return copy, opset

    return capture


def _believed(exporter: Any, subject: Any, _path: Path, passes: Any) -> Any:
    """Logits and facts of a reader that agrees: reading back takes seconds, and has tests of its own."""
    from rescli.exporters.parity import check

    facts = {"runtime": exporter.reader(subject)[1], "imported_rescli": False}
    return check._reference(subject, passes), facts


def _shortened(table: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(table["data"])
    model, dataset = (
        given if isinstance(given, Mapping) else {"kind": given}
        for given in (table["model"], data["dataset"])
    )
    if model["kind"] in ("resnet", "plain"):
        model = {**model, "width": 4, "depth": min(model["depth"], _DEEPEST)}
    if dataset["kind"] == "shapes":
        dataset = {**dataset, "num_train": 40, "num_val": 40, "num_test": 40}
    data |= {"batch_size": 4, "dataset": dataset}
    return {**table, "iterations": 2, "model": model, "data": data}


def _read_cifar(cifar: Any, _root: Path | None, splits: tuple[str, ...], **_: Any) -> dict[str, Any]:
    import torch

    from rescli.data.cifar.classes import CIFAR10_CLASSES, CIFAR100_CLASSES
    from rescli.data.image_set import ImageSet

    names = CIFAR10_CLASSES if cifar.files.title == "CIFAR-10" else CIFAR100_CLASSES
    found = {}
    for split in splits:
        generator = torch.Generator().manual_seed(len(split))
        images = torch.randint(0, 256, (40, 32, 32, 3), dtype=torch.uint8, generator=generator)
        files = tuple(f"{split}_{number}.png" for number in range(40))
        found[split] = ImageSet(images, torch.arange(40) % len(names), names, split, files)
    return found


def inline_commands(page: str) -> Iterator[str]:
    """What stands in the text between backticks and begins with ``rescli``, on one line."""
    prose = _FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for found in re.findall(r"`(rescli [^`]+)`", prose):
        yield " ".join(found.split())
