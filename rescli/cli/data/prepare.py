"""``rescli data prepare``: the official archives of ImageNet as folders that train and eval read."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.output.messages import say
from rescli.errors import CheckpointError, DataError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["prepare"]

TRAIN, VAL, DEVKIT = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"


@dataclass(frozen=True)
class Official:
    """As image-net.org publishes it. num_bytes: None where the archive is checked whatever its size."""

    num_bytes: int | None
    md5: str


OFFICIAL = {
    TRAIN: Official(147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL: Official(6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
    DEVKIT: Official(None, "fa75699e90414af021442c21a62c3abf"),
}

LINE_SECONDS = 30.0

_LOCK = ".rescli-prepare.lock"
_CHECKED = ".rescli-checked.json"
"""Archives whose MD5 was right: to read 148 GB a second time takes long."""


def prepare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="imagenet.")],
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            help=f"The folder with {TRAIN} and {VAL}, or one of them; beside the latter the labels: "
            f"{DEVKIT}, Kaggle's LOC_val_solution.csv, or val.csv with lines FILE,WNID.",
            metavar="DIR",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where train/ and val/ will be; unset: where the archives are.", metavar="DIR"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Extract the official archives of ImageNet 2012 into train/WNID/*.JPEG and val/WNID/*.JPEG.

    Stopped or killed, the same command goes on: a folder that has its name is whole. The archives stay.

    rescli data prepare imagenet --from downloads --out ILSVRC2012
    """
    if name != "imagenet":
        raise UnknownNameError("data set to prepare", name, ["imagenet"])
    from rescli.data.imagenet.labels import SOURCES, find_labels

    root = out if out is not None else source
    archives = [source / each for each in (TRAIN, VAL) if (source / each).is_file()]
    if not archives:
        what = "has neither" if source.is_dir() else "is no folder with"
        raise DataError(f"{source} {what} {TRAIN} nor {VAL}.", hint="--from DIR names the folder they are in")
    labelled = find_labels([source]) if source / VAL in archives else None
    if source / VAL in archives and labelled is None:
        raise DataError(
            f"{source} has {VAL} but no labels.", hint=f"put one of {', '.join(SOURCES)} beside it"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            result = _prepare(archives, root, labelled)
    except OSError as error:
        about = f" ({error.filename})" if error.filename else ""
        raise CheckpointError(
            f"cannot make {root}: {error.strerror or error}{about}; what is whole stays.",
            hint="make room or mend it; then the same command goes on",
        ) from error
    if json or bool(context.obj):
        from rescli.cli.output.results import print_json

        print_json({"root": str(root), **result})
        return
    for split in result["splits"]:
        say(
            f"{split['split']}: {split['num_images']:,} images in {split['num_classes']:,} classes"
            + ("" if split["num_new"] else ", all there before")
        )
    print(root)


def _prepare(
    archives: list[Path], root: Path, labelled: tuple[Path, dict[str, str]] | None
) -> dict[str, Any]:
    from rescli.data.imagenet.archives import clear_staging, extract_train, extract_val
    from rescli.data.specs import ImageNetSpec

    dataset = ImageNetSpec()
    for split in ("train", "val"):
        clear_staging(root / split)
    _check_space(archives, root)
    with _progress() as progress:
        checked = [_check_md5(path, root, progress) for path in _to_check(archives, labelled)]
        splits = []
        for archive in archives:
            if archive.name == TRAIN:
                made = extract_train(
                    archive,
                    root / "train",
                    dataset.class_names,
                    num_images=dataset.sizes["train"],
                    progress=progress("train"),
                )
            else:
                assert labelled is not None
                made = extract_val(
                    archive,
                    root / "val",
                    labelled[1],
                    dataset.class_names,
                    num_images=dataset.sizes["val"],
                    labels_from=labelled[0],
                    progress=progress("val"),
                )
            splits.append(
                {
                    "split": "train" if archive.name == TRAIN else "val",
                    "num_classes": len(made.images_per_class),
                    "num_images": made.num_images,
                    "num_new": made.num_new,
                    "images_per_class": dict(made.images_per_class),
                }
            )
    return {
        "splits": splits,
        "labels": str(labelled[0]) if labelled is not None else None,
        "archives": checked,
    }


def _to_check(archives: list[Path], labelled: tuple[Path, dict[str, str]] | None) -> list[Path]:
    return [*archives, *([labelled[0]] if labelled is not None and labelled[0].name == DEVKIT else [])]


def _check_md5(
    path: Path, root: Path, progress: Callable[[str], Callable[[int, int], None]]
) -> dict[str, Any]:
    """Whether the archive is the official one.

    Raises:
        DataError: of its size, and not it.
    """
    from rescli.files import read_json, write_json

    official, stat = OFFICIAL[path.name], path.stat()
    row = {"archive": str(path), "num_bytes": stat.st_size}
    if official.num_bytes not in (None, stat.st_size):
        say(
            f"{path} has {stat.st_size:,} bytes, the official one {official.num_bytes:,}: "
            "its MD5 is not checked"
        )
        return {**row, "official": False}
    memory = root / _CHECKED
    known = read_json(memory) if memory.exists() else {}
    mark = [stat.st_size, stat.st_mtime_ns, official.md5]
    if not isinstance(known, dict):
        known = {}
    if known.get(path.name) == mark:
        return {**row, "official": True}
    digest = hashlib.md5(usedforsecurity=False)
    report = progress(f"{path.name}: MD5")
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
            report(file.tell(), stat.st_size)
    if digest.hexdigest() != official.md5:
        if official.num_bytes is None:
            say(f"{path} is not the official archive: its MD5 is {digest.hexdigest()}")
            return {**row, "official": False}
        raise DataError(
            f"{path} is damaged: its MD5 is {digest.hexdigest()}, expected {official.md5}.",
            hint="get the archive again",
        )
    write_json(memory, {**known, path.name: mark})
    return {**row, "official": True}


def _check_space(archives: list[Path], root: Path) -> None:
    from rescli.data.imagenet.archives import bytes_to_write

    needed = 0
    for path in archives:
        split = "train" if path.name == TRAIN else "val"
        needed += bytes_to_write(path, root / split, of_classes=split == "train")
    free = shutil.disk_usage(root).free
    if needed > free:
        raise UsageError(
            f"{root} has room for {free / 1e9:.1f} GB; {needed / 1e9:.1f} GB are needed.",
            hint="--out DIR on a larger disk",
        )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    import fcntl

    with open(root / _LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{root} is being prepared by another process.", hint="wait for it") from error
        yield


@contextmanager
def _progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """``progress(what)(bytes done, bytes in all)``: a bar on a terminal, else a line now and then; stderr."""
    from rescli.cli.data.output import verify_progress

    with verify_progress() as bar:
        printed = time.monotonic()

        def begin(what: str) -> Callable[[int, int], None]:
            begun = False

            def report(done: int, total: int) -> None:
                nonlocal begun, printed
                if not begun:
                    begun = True
                    bar.begin(what, total)
                bar.done(done)
                now = time.monotonic()
                if not bar.is_shown and now - printed >= LINE_SECONDS:
                    printed = now
                    say(f"{what}: {done / 1e9:.1f} of {total / 1e9:.1f} GB")

            return report

        yield begin
