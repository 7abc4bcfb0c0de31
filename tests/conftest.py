"""Fixtures that every room's tests may use."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tar_files import tar_of
from trials.popen import ForkedPopen
from trials.process import ForkServer

# One thread: these nets are too small for more, and threads that wait for each other on a busy machine
# make a test of a second last a minute. Tests of real runs in processes of their own give it back.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The width of a terminal that is not there: readline tells it to the processes of pytest-xdist.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

# A program begun under nohup, or in the background of a script, ignores these signals, and so would all that
# the tests start; rescli keeps to that, and the tests of signals would fail.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults", "how much of tests/faults is tried")
    group.addoption("--faults", choices=("short", "long"), default="short", help="so many of each kind")
    group.addoption("--faults-count", type=int, metavar="N", help="N of each kind instead")
    group.addoption("--faults-seed", type=int, default=2015, metavar="N", help="what they are drawn from")
    group.addoption("--faults-number", type=int, metavar="N", help="the N-th case of each kind alone")
    group.addoption("--faults-report", metavar="FILE", help="write the table as JSON, too")


CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def cifar_root() -> Path:
    """The directory of the real CIFAR-10 files, as RESCLI_DATA names it."""
    given = os.environ.get("RESCLI_DATA")
    if not given:
        pytest.skip("RESCLI_DATA is not set")
    return Path(given)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one kept, or touches the user's cache.

    Compiled kernels, whose names tell all that they depend on, are shared: each process would wait for them.
    """
    cache = tmp_path_factory.mktemp("cache")
    shared = tmp_path_factory.getbasetemp().parent / "native"
    shared.mkdir(exist_ok=True)
    (cache / "rescli").mkdir()
    (cache / "rescli" / "native").symlink_to(shared)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


SEE = re.compile(r"^  see: (.+)\n", re.MULTILINE)
"""The line that ends an error."""


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and what it printed.

    Attributes:
        err: stderr without the line that ends an error by naming the handbook.
        see: what that line names; empty without one.
    """

    code: int
    out: str
    err: str
    see: str = ""

    @property
    def json(self) -> Any:
        """stdout, which must hold exactly one JSON object."""
        return json.loads(self.out)


@pytest.fixture
def rescli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """``rescli("train", "quickstart")`` in this process, which spares the seconds of importing torch."""

    def call(*arguments: object) -> Answer:
        from rescli.cli.app import main

        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        monkeypatch.setattr(sys, "argv", ["rescli", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        assert {number: signal.getsignal(number) for number in handlers} == handlers
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        err, see = re.sub(SEE, "", printed.err), "".join(re.findall(SEE, printed.err)[-1:])
        return Answer(code, printed.out, err, see)

    return call


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """``forked.run("show", path)``: a process of its own without the seconds of importing torch."""
    server = ForkServer(tmp_path_factory.mktemp("forked"))
    yield server
    server.close()


@pytest.fixture
def start_rescli(forked: ForkServer) -> Iterator[Callable[..., ForkedPopen]]:
    """A real process of its own: to be killed, raced or measured."""
    started: list[ForkedPopen] = []

    def start(*arguments: object, cwd: Path | None = None) -> ForkedPopen:
        started.append(ForkedPopen(forked, arguments, cwd=cwd))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def start_interpreter() -> Callable[..., subprocess.Popen[str]]:
    """As ``start_rescli``, with the seconds of Python's start and torch's import: for what those change."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
        return subprocess.Popen(
            [sys.executable, "-m", "rescli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            **options,
        )

    return start


class NotebookCell:
    """What a cell of a notebook shows below it, as rescli's progress uses it: HTML, output by output."""

    def __init__(self) -> None:
        self.outputs: list[list[str]] = []
        """Of each output all that was ever shown in it, the newest last."""

    @property
    def seen(self) -> str:
        """Everything that was ever shown."""
        return "".join(picture for output in self.outputs for picture in output)

    @property
    def left(self) -> str:
        """What is still there."""
        return "".join(output[-1] for output in self.outputs)

    def display(self, picture: str, *, display_id: bool) -> NotebookOutput:
        self.outputs.append([picture])
        return NotebookOutput(self.outputs[-1])


@dataclass(frozen=True)
class NotebookOutput:
    """One output of a cell: what ``IPython.display.display`` gives back."""

    shown: list[str]

    def update(self, picture: str) -> None:
        self.shown.append(picture)


@pytest.fixture
def notebook_cell(monkeypatch: pytest.MonkeyPatch) -> NotebookCell:
    """Makes rescli believe that it runs in a notebook; every picture is drawn."""
    from rescli.report.progress import notebook

    made: Any = ModuleType("IPython.display")
    made.HTML, cell = str, NotebookCell()
    made.display = cell.display
    monkeypatch.setitem(sys.modules, "IPython.display", made)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(notebook, "_REFRESH_SECONDS", 0.0)
    return cell


@dataclass(frozen=True)
class FakeIlsvrc:
    """ImageNet's three archives with three classes, whose ids in the devkit are not their sorted order.

    train, val: file name to (class, content). folder: where the archives lie.
    """

    folder: Path
    class_names: tuple[str, ...]
    train: dict[str, tuple[str, bytes]]
    val: dict[str, tuple[str, bytes]]

    def write_train(self, **extra: dict[str, bytes]) -> None:
        """extra: more members of a class's archive."""
        per_class = {
            name: tar_of(
                {file: content for file, (wnid, content) in self.train.items() if wnid == name}
                | extra.get(name, {})
            )
            for name in self.class_names
        }
        members = {f"{name}.tar": content for name, content in per_class.items()}
        (self.folder / "ILSVRC2012_img_train.tar").write_bytes(tar_of(members))

    def write_val(self) -> None:
        members = {file: content for file, (_, content) in self.val.items()}
        (self.folder / "ILSVRC2012_img_val.tar").write_bytes(tar_of(members))

    def devkit_files(self) -> dict[str, bytes]:
        import numpy as np
        import scipy.io  # type: ignore[import-untyped]

        rotated = (
            *self.class_names[1:],
            self.class_names[0],
            "n00001740",
        )  # and an inner node, as meta.mat has
        rows = [(k, wnid, f"words {k}", 0) for k, wnid in enumerate(rotated, start=1)]
        kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
        meta = io.BytesIO()
        scipy.io.savemat(meta, {"synsets": np.array(rows, dtype=kind).reshape(-1, 1)})
        truth = "".join(f"{rotated.index(wnid) + 1}\n" for _, (wnid, _) in sorted(self.val.items()))
        return {
            "data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
            "data/meta.mat": meta.getvalue(),
            "readme.txt": b"",
        }

    def write_devkit(self) -> None:
        named = {f"ILSVRC2012_devkit_t12/{name}": content for name, content in self.devkit_files().items()}
        (self.folder / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(gzip.compress(tar_of(named)))


@pytest.fixture
def ilsvrc(tmp_path: Path) -> FakeIlsvrc:
    wnids = ("n01440764", "n01443537", "n15075141")
    train = {
        f"{wnid}_{k}.JPEG": (wnid, f"{wnid} {k} ".encode() * 50 * k)
        for number, wnid in enumerate(wnids)
        for k in range(1, number + 3)
    }
    val = {
        f"ILSVRC2012_val_{k:08d}.JPEG": (wnids[(k * k) % 3], f"val {k} ".encode() * 99 * k)
        for k in range(1, 8)
    }
    val["ILSVRC2012_val_00000004.JPEG"] = (wnids[2], b"val 4")
    fake = FakeIlsvrc(tmp_path / "archives", wnids, train, val)
    fake.folder.mkdir()
    fake.write_train()
    fake.write_val()
    fake.write_devkit()
    return fake


@pytest.fixture
def tiny() -> list[str]:
    """Flags of a run that takes about a second: 12 iterations of a small net on few embedded images."""
    return [
        *(
            "shapes/base",
            "--model",
            "resnet-8",
            "--iterations",
            "12",
            "--batch-size",
            "16",
            "--device",
            "cpu",
        ),
        *("--set", "data.dataset.num_train=200", "--set", "data.dataset.num_val=50"),
        *("--set", "data.dataset.num_test=60", "--set", "evaluation.every=5"),
        *("--set", "checkpoint.every=4", "--set", "metrics.every=3"),
    ]


@pytest.fixture(scope="session")
def checkpoint_of() -> Callable[..., Any]:
    """``checkpoint_of("resnet-8", dataset=..., shortcut="B")``: untrained, on the embedded shapes.

    Its batch normalisation has statistics that matter, so that each image has logits of its own.
    """
    import torch

    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.data.normalization import Normalization
    from rescli.data.specs import ShapesSpec
    from rescli.models.specs import model_spec

    def make(
        name: str, *, dataset: Any = None, normalization: str = "per-pixel-mean", **given: Any
    ) -> Checkpoint:
        dataset = dataset or ShapesSpec(num_train=400, num_val=60)
        names, size = dataset.class_names, dataset.image_size
        spec = model_spec(name, image_size=size, **given)
        net = spec.build(num_classes=len(names), image_size=size, seed=0)
        generator = torch.Generator().manual_seed(1)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.data.uniform_(0.5, 1.2, generator=generator)
                module.bias.data.normal_(0, 0.2, generator=generator)
        mean = torch.rand(3, size, size, generator=generator)
        val = {"top1_error": 12.5, "loss": 0.4, "num_images": 60, "interval95": [6.0, 23.0]}
        return Checkpoint(
            tensors=dict(net.state_dict()),
            model=spec,
            dataset=dataset,
            spec=None,
            normalization=Normalization("per-pixel-mean", mean)
            if normalization == "per-pixel-mean"
            else Normalization(
                "per-channel", mean.mean((1, 2), keepdim=True), torch.tensor([0.2, 0.25, 0.3])
            ),
            class_names=names,
            iteration=7,
            selection="last",
            results={"val": {**val, "protocol": "single", "selection": "last"}},
            data={},
            precision="fp32",
        )

    return make


@pytest.fixture(scope="session")
def make_checkpoint(
    checkpoint_of: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """``make_checkpoint("resnet-8", shortcut="B")`` -> its file, made once."""
    made: dict[str, Path] = {}

    def make(name: str, **given: Any) -> Path:
        key = f"{name} {given}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("checkpoints") / "net.safetensors"
            checkpoint_of(name, **given).write(made[key])
        return made[key]

    return make


@pytest.fixture
def net8(make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint("resnet-8")


@pytest.fixture
def imagenet18(make_checkpoint: Callable[..., Path]) -> Path:
    """torchvision's and timm's ResNet-18, with ImageNet's classes."""
    from rescli.data.specs import ImageNetSpec

    return make_checkpoint("resnet-18", dataset=ImageNetSpec(), normalization="per-channel", shortcut="B")


@pytest.fixture(scope="session")
def discerning8(checkpoint_of: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained resnet-8 whose outputs are balanced, so that it takes the shapes for many classes."""
    import torch

    checkpoint = checkpoint_of("resnet-8")
    images = checkpoint.dataset.build(None, ("val",))["val"]
    with torch.inference_mode():
        logits = checkpoint.build_model()(checkpoint.normalization.apply(images.images_NHWC))
    checkpoint.tensors["fc.bias"].sub_(logits.mean(0))
    path = tmp_path_factory.mktemp("discerning") / "net.safetensors"
    checkpoint.write(path)
    return path
