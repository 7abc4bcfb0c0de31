"""Sound files of every kind, made once; and a folder for each case to spoil them in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from photographs import put_pictures
from trials.judge import Judge
from trials.process import Ended, ForkServer

NET = (
    *("--set", "model.depth=8", "--set", "model.width=4", "--set", "data.dataset.num_train=60"),
    *("--set", "data.dataset.num_val=30", "--set", "data.dataset.num_test=30", "--batch-size", "8"),
    *("--device", "cpu", "--set", "evaluation.every=2", "--set", "checkpoint.every=2"),
    *("--set", "metrics.every=1", "--set", "iterations=4", "--set", "precision=fp32"),
)
"""A training of half a second; auto would measure which precision is the faster one at the moment."""


@dataclass(frozen=True)
class Sound:
    """Where each sound file lies. ``make`` makes what only some parts need.

    Args:
        folder: of them all.
        run: a finished run on the shapes.
        half: one that was killed after it saved a state.
        photos: a folder of photographs of two classes.
    """

    folder: Path
    run_command: Callable[..., Ended]
    can_be_killed: bool
    net_flags: tuple[str, ...] = NET

    def make(self, name: str, *argv: object, **options: object) -> Path:
        """``folder/name``, by a command whose last argument it is."""
        path = self.folder / name
        if not path.exists():
            ended = self.run_command(*argv, path, **options)
            assert ended.code == 0, ended
        return path

    @property
    def run(self) -> Path:
        return self.make("run", "train", "shapes/base", *NET, "-q", "--out")

    @property
    def other(self) -> Path:
        """A run with another seed."""
        return self.make("other", "train", "shapes/base", *NET, "-q", "--seed", 1, "--out")

    @property
    def net(self) -> Path:
        return self.run / "checkpoints/last.safetensors"

    @property
    def half(self) -> Path:
        if not self.can_be_killed:
            pytest.skip("there is no C compiler")
        path = self.folder / "half"
        at = 70
        while not (path / "state/latest.json").exists():
            shutil.rmtree(path, ignore_errors=True)
            fault = {"at": at, "do": "kill", "under": str(path)}
            self.run_command("train", "shapes/base", *NET, "-q", "--out", path, fault=fault)
            at += 6
            assert at < 500
        return path

    @property
    def compared(self) -> Path:
        """Two runs that ``compare`` trained and finds again."""
        return self.make("compared", *self.comparison, "--out", self.folder / "comparison", "--runs")

    @property
    def comparison(self) -> tuple[str, ...]:
        flags = [flag for flag in NET if flag not in ("--set", "model.depth=8")]
        named = [flag if "=" not in flag else f"--set={flag}" for flag in flags]
        return ("compare", "resnet-8", "plain-8", "--dataset", "shapes", *named, "-q")

    @property
    def photos(self) -> Path:
        path = self.folder / "photos"
        if not path.exists():
            names = (
                f"{split}/{name}/{k}"
                for split in ("train", "val")
                for name in ("cat", "dog")
                for k in range(2)
            )
            kinds = ("jpg", "png", "webp", "gif")
            put_pictures(path, *(f"{name}.{kinds[k % 4]}" for k, name in enumerate(names)), size=(40, 34))
        return path

    @property
    def packed(self) -> Path:
        return self.make(
            "packed", "data", "pack", "imagefolder", "--data-root", self.photos, "--short-side", 32, "--out"
        )


@pytest.fixture(scope="session")
def inputs_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("inputs")
    shared = tmp_path_factory.getbasetemp().parent / "native"
    shared.mkdir(exist_ok=True)
    (home / "cache/rescli").mkdir(parents=True)
    (home / "cache/rescli/native").symlink_to(shared)
    return home


@pytest.fixture(scope="session")
def judge(forked: ForkServer, inputs_home: Path) -> Judge:
    environment: dict[str, str | None] = {
        "XDG_CACHE_HOME": str(inputs_home / "cache"),
        "RESCLI_DATA": None,
        "HOME": str(inputs_home),
        "COLUMNS": "120",
    }
    return Judge(forked, inputs_home, environment)


@pytest.fixture(scope="session")
def sound(judge: Judge, inputs_home: Path) -> Sound:
    (inputs_home / "sound").mkdir()

    def run(*argv: object, **options: object) -> Ended:
        return judge.run(*argv, seconds=120, **options)

    return Sound(inputs_home / "sound", run, judge.server.injector is not None)


@pytest.fixture
def work(inputs_home: Path) -> Iterator[Path]:
    """An empty folder, empty again behind each case."""
    path = inputs_home / "work"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)
