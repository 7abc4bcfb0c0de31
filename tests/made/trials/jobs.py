"""Every command that writes, each on inputs of a fraction of a second, and what it must leave in the end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photo_run import put_photos
from photographs import put_cats_and_dogs, put_pictures

from trials.left import Left, left_in
from trials.process import Ended, ForkServer, Running
from trials.small_imagenet import WNIDS, put_archives

__all__ = ["JOBS", "Job", "Workplace", "by_name"]


def _set(*settings: str) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))


_SHAPES = _set("data.dataset.num_train=100", "data.dataset.num_val=50", "data.dataset.num_test=60")
_STEPS = _set("evaluation.every=3", "checkpoint.every=2", "metrics.every=1")
_TRAIN = ("train", "shapes/base", "--model", "resnet-8", "--iterations", "9", "--batch-size", "16")
_CPU = ("--device", "cpu", "--precision", "fp32")
_PHOTOS = ("imagefolder/32", "--data-root", "photos", "--set", "model.depth=8", "--set", "model.width=4")
_FEW = ("--iterations", "4", "--batch-size", "4")
_TWO = ("plain-8", "resnet-8", "--dataset", "shapes")
_NET = ("net.safetensors",)
_DRAWN = ("--figure", "confusion.png", "--mistakes", "mistakes.png")
_KEYS = ("data.batch_size=8", "data.dataset={kind='shapes', num_train=60, num_val=30, num_test=40}")
_NETS = ("--device", "cpu", *_set("model.width=4", "iterations=4", *_KEYS))


@dataclass(frozen=True)
class Job:
    """A command, and what is there before it.

    Args:
        name: the row of the table.
        argv: its arguments; paths are relative to the folder that it works in.
        puts: its inputs, into that folder.
        resume: what goes on instead, where the same command refuses what it left itself.
        on_disk: exit codes for a disk that fails.
        before: for ``ForkServer.start``.
        whole: folders that have their name only when all is in them.
    """

    name: str
    argv: tuple[str, ...]
    puts: Callable[[Path, Path], None] = lambda _folder, _net: None
    resume: tuple[str, ...] | None = None
    on_disk: tuple[int, ...] = (1, 2, 3, 4)
    before: str | None = None
    whole: tuple[str, ...] = ()


def _put_net(folder: Path, net: Path) -> None:
    shutil.copy(net, folder / "net.safetensors")


def _put_weights(folder: Path, net: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save({"state_dict": load_file(net)}, folder / "net.pth")


def _put_pictures(folder: Path, net: Path) -> None:
    _put_net(folder, net)
    put_pictures(folder / "pictures", "a.png", "b.jpg", "below/c.png")


def _put_photos(folder: Path, _net: Path) -> None:
    put_photos(folder / "photos")


def _put_cats(folder: Path, _net: Path) -> None:
    put_cats_and_dogs(folder / "photos", 4)
    (folder / "photos" / "train" / "cat" / "notes.txt").write_text("no picture")


def _put_archives(folder: Path, _net: Path) -> None:
    put_archives(folder / "archives")


def _export(kind: str, out: str, *flags: str) -> Job:
    argv = ("export", "net.safetensors", "--format", kind, "--out", out, "--check-images", "20", *flags)
    name = f"export {'int8' if 'int8' in flags else kind}"
    return Job(name, argv, _put_net, whole=(out,) if kind == "huggingface" else ())


JOBS: tuple[Job, ...] = (
    Job("train", (*_TRAIN, *_CPU, *_SHAPES, *_STEPS, "--out", "run"), resume=("train", "--resume", "run")),
    Job(
        "train photographs",
        ("train", *_PHOTOS, *_FEW, *_CPU, "--workers", "2", *_STEPS, "--out", "run"),
        _put_photos,
        resume=("train", "--resume", "run"),
    ),
    Job(
        "compare",
        ("compare", *_TWO, *_FEW, *_CPU, *_SHAPES, *_STEPS, "-q", "--out", "comparison"),
    ),
    Job(
        "reproduce",
        ("reproduce", "table6", *_NETS, *_STEPS, "--only", "resnet-20", "-q"),
    ),
    _export("safetensors", "net-out.safetensors"),
    _export("onnx", "net.onnx"),
    _export("onnx", "net8.onnx", "--precision", "int8", "--calibration-images", "20"),
    _export("torch-export", "net.pt2"),
    _export("huggingface", "hub"),
    Job(
        "import",
        ("import", "net.pth", "--model", "resnet-8", "--dataset", "cifar10", "--out", "in.safetensors"),
        _put_weights,
    ),
    Job(
        "predict",
        ("predict", *_NET, "pictures", "--device", "cpu", "--csv", "labels.csv", "--figure", "sheet.png"),
        _put_pictures,
    ),
    Job(
        "eval",
        ("eval", *_NET, *_CPU, "--split", "val", "--save-logits", "logits.safetensors", *_DRAWN),
        _put_net,
    ),
    Job(
        "analyze",
        ("analyze", "responses", "net.safetensors", "--device", "cpu", "--figure", "fig7.png"),
        _put_net,
    ),
    Job(
        "data pack",
        ("data", "pack", "imagefolder", "--data-root", "photos", "--out", "packed"),
        _put_cats,
        whole=("packed",),
    ),
    Job(
        "data tidy",
        ("data", "tidy", "--data-root", "photos", "--out", "sound", "--copy"),
        _put_cats,
        whole=("sound",),
    ),
    Job(
        "data prepare",
        ("data", "prepare", "imagenet", "--from", "archives", "--out", "imagenet"),
        _put_archives,
        before="trials.small_imagenet:become",
        whole=tuple(f"imagenet/{split}/{wnid}" for split in ("train", "val") for wnid in WNIDS),
    ),
)


def by_name(name: str) -> Job:
    return next(job for job in JOBS if job.name == name)


@dataclass
class Undisturbed:
    """A run that nothing happened to: what it left, how long it took, and its file operations."""

    left: Left
    seconds: float
    operations: int


@dataclass
class Workplace:
    """Where jobs are done: each in a folder of its own, whose inputs are made once.

    Args:
        forked: begins the processes.
        folder: for all.
        net: a small checkpoint.
        native: the compiled kernels, shared as each process would compile them.
    """

    forked: ForkServer
    folder: Path
    net: Path
    native: Path
    _inputs: dict[str, Path] = field(default_factory=dict)
    _undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    _begun: int = 0

    def place(self, job: Job) -> Path:
        """A new folder with the job's inputs and an empty cache."""
        if job.name not in self._inputs:
            inputs = self.folder / f"inputs of {job.name}"
            (inputs / "cache" / "rescli").mkdir(parents=True)
            job.puts(inputs, self.net)
            (inputs / "cache" / "rescli" / "native").symlink_to(self.native)
            self._inputs[job.name] = inputs
        self._begun += 1
        place = self.folder / str(self._begun) / "here"
        shutil.copytree(self._inputs[job.name], place, symlinks=True)
        return place

    def undisturbed(self, job: Job) -> Undisturbed:
        """Done once."""
        if job.name not in self._undisturbed:
            place = self.place(job)
            fault = {"at": 1, "do": "count", "under": str(place)}
            ended = self.run(job, place, fault=fault if self.forked.injector else None)
            assert ended.code == 0, ended
            self._undisturbed[job.name] = Undisturbed(left_in(place), ended.seconds, ended.operations)
        return self._undisturbed[job.name]

    def start(
        self, job: Job, place: Path, argv: tuple[str, ...] | None = None, *, cwd: Path | None = None,
        env: Mapping[str, str | None] = {}, **options: Any,
    ) -> Running:  # fmt: skip
        """Begin it, or ``argv`` in its stead; the other keywords are those of ``ForkServer.start``."""
        given = {"XDG_CACHE_HOME": str(place / "cache"), "RESCLI_DATA": None, **env}
        given.setdefault("MPLCONFIGDIR", str(self.folder))  # its list of fonts takes seconds to make
        return self.forked.start(
            *(argv or job.argv), cwd=cwd or place, env=given, before=job.before, **options
        )

    def run(self, job: Job, place: Path, *, seconds: float = 120, **options: Any) -> Ended:
        return self.start(job, place, **options).wait(seconds)

    def finish(self, job: Job, place: Path, *, seen: Path | None = None) -> Ended:
        """Once the fault is over: the same command again, or what goes on in its stead.

        Of several results one may have been written whole; the command then asks to have it removed.
        """
        ended = self.run(job, place)
        if ended.code == 2 and job.resume is not None:
            return self.run(job, place, argv=job.resume)
        for _ in range(3):
            stands = re.search(r"(\S+) exists and is not overwritten", ended.err)
            if ended.code != 2 or stands is None or not ((seen or place) / stands[1]).is_file():
                break
            ((seen or place) / stands[1]).unlink()
            ended = self.run(job, place)
        return ended

    def inputs(self, job: Job) -> Left:
        """What is there before it begins, but for its cache."""
        found = left_in(self._inputs[job.name])
        return {name: kept for name, kept in found.items() if not name.startswith("cache/")}

    def clear(self, place: Path) -> None:
        shutil.rmtree(place.parent, ignore_errors=True)
