"""Folders of photographs: odd images, odd names, tables of labels, archives; and packed ones."""

import io
import json
import os
import shutil
import tarfile
import zipfile

import pytest
from safetensors.numpy import load_file, save_file
from trials.case import faults
from trials.mutate.damage import damaged, flipped
from trials.mutate.images import odd_entry, odd_image
from trials.mutate.lines import changed_table
from trials.mutate.values import change
from trials.mutate.weights import Weights

TRAIN = (
    "imagefolder/32",
    "--set",
    "model.depth=8",
    "--set",
    "model.width=4",
    "--batch-size",
    4,
    "--device",
    "cpu",
)
SIZE = ("--set", "data.dataset.image_size=32")


@pytest.fixture
def read_by(case, judge, sound, work):
    """Holds one command that reads photographs to what is promised."""

    def read(root, allowed, *, of=("verify", "verify", "plan", "train", "pack", "tidy", "eval"), like=None):
        run = ("--json", "-q", "--out", work / "run", *case.dice.choice(((), ("--skip-damaged",))))
        commands = {
            "verify": ("data", "verify", "imagefolder", "--data-root", root, "--json"),
            "plan": ("train", *TRAIN, "--data-root", root, "--dry-run", "--json"),
            "train": ("train", *TRAIN, "--iterations", 2, "--workers", 0, "--data-root", root, *run),
            "pack": (
                "data",
                "pack",
                "imagefolder",
                "--data-root",
                root,
                "--short-side",
                32,
                "--out",
                work / "packed",
            ),
            "tidy": ("data", "tidy", "--data-root", root, "--out", work / "tidied"),
            "eval": (
                "eval",
                photo_net(sound),
                "--data-root",
                root,
                "--split",
                "val",
                "--device",
                "cpu",
                "--json",
            ),
        }
        command = case.dice.choice(of)
        may = {*allowed, 4} if command == "eval" else allowed  # a net that lacks classes of the set
        ended = judge.judge(case, *commands[command], allowed=may, like=like)
        if command == "pack" and ended.code == 0:
            before = judge.run(*commands["verify"]).code
            packed = ("data", "verify", "imagefolder", "--data-root", work / "packed", "--json")
            judge.judge(case, *packed, allowed={before})
        return ended

    return read


def photo_net(sound):
    return trained_on(sound, "photo_run", sound.photos)


def packed_net(sound):
    return trained_on(sound, "packed_run", sound.packed)


def trained_on(sound, name, root):
    command = ("train", *TRAIN, "--iterations", 1, "--data-root", root, "--workers", 0, "-q", "--out")
    return sound.make(name, *command) / "checkpoints/last.safetensors"


def copied(photos, work):
    return shutil.copytree(photos, work / "photos")


@faults(short=1, long=250)
def test_images(case, sound, work, read_by):
    root = copied(sound.photos, work)
    data, what = odd_image(case.dice)
    place = case.dice.choice(sorted(path for path in root.rglob("*") if path.is_file()))
    case.tries("photographs: an image", f"{what} as {place.relative_to(root)}")
    place.write_bytes(data)
    read_by(root, {0, 3})


@faults(short=1, long=160)
def test_predicted(case, sound, work, judge):
    data, what = odd_image(case.dice)
    case.tries("photographs: predict", what)
    path = work / case.dice.choice(("a.jpg", "a.png", "a.tif", "a"))
    path.write_bytes(data)
    more = case.dice.choice(
        ((), ("--ten-crop",), ("--csv", work / "a.csv"), ("--json",), ("--figure", work / "f.png"))
    )
    judge.judge(
        case, "predict", sound.net, path, "--device", "cpu", *more, allowed={0, 2, 3}, names=[path.name]
    )


@faults(short=2, long=140)
def test_names(case, sound, work, read_by, judge):
    root = copied(sound.photos, work)
    folder = root / case.dice.choice(("train/cat", "val/dog", "train", "."))
    what = odd_entry(case.dice, folder, sound.photos / "train/cat/0.jpg")
    case.tries("photographs: names and kinds of files", f"{what} in {folder.relative_to(root)}")
    if case.dice.random() < 0.15:
        judge.judge(
            case, "predict", sound.net, root, "--csv", work / "a.csv", "--device", "cpu", allowed={0, 2, 3}
        )
        return
    read_by(root, {0, 3})


@faults(short=1, long=140)
def test_labels(case, sound, work, read_by):
    root = work / "photos"
    rows = []
    for number, place in enumerate(sorted((sound.photos / "train").rglob("*.*"))):
        (root / "train").mkdir(parents=True, exist_ok=True)
        shutil.copy(place, root / "train" / f"{number}{place.suffix}")
        rows.append((f"{number}{place.suffix}", place.parent.name))
    shutil.copytree(sound.photos / "val", root / "val")
    name, separator = case.dice.choice((("labels.csv", ","), ("labels.tsv", "\t"), ("train.txt", " ")))
    text = separator.join(("file", "label")) + "\n" + "".join(separator.join(row) + "\n" for row in rows)
    data, what = changed_table(case.dice, text, separator)
    case.tries("photographs: a table of labels", f"{name}: {what}")
    place = case.dice.choice((root, root / "train")) / name
    place.write_bytes(data)
    read_by(root, {0, 2, 3})


@faults(short=0, long=40)
def test_archives(case, sound, work, read_by, judge):
    """An archive in the place of a folder, or beside the classes: it is no folder, whatever is in it."""
    written = io.BytesIO()
    image = (sound.photos / "train/cat/0.jpg").read_bytes()
    names = ("cat/0.jpg", "../../canary.jpg", "/canary.jpg", "a" * 300, "cat\0.jpg")
    if case.dice.random() < 0.5:
        kind = "zip"
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr(case.dice.choice(names), image)
    else:
        kind = "tar"
        with tarfile.open(fileobj=written, mode="w") as archive:
            member = tarfile.TarInfo(case.dice.choice(names))
            member.size = len(image)
            archive.addfile(member, io.BytesIO(image))
    data, what = damaged(case.dice, written.getvalue())
    case.tries("photographs: an archive", f"{kind}: {what}")
    path = work / f"photos.{kind}"
    path.write_bytes(data)
    if case.dice.random() < 0.5:
        judge.judge(
            case,
            "data",
            "verify",
            "imagefolder",
            "--data-root",
            path,
            "--json",
            allowed={3},
            names=[path.name],
        )
        return
    root = copied(sound.photos, work)
    shutil.move(path, case.dice.choice((root, root / "train", root / "train/cat")) / path.name)
    read_by(root, {0, 3})
    assert not list(work.parent.rglob("canary*"))


@faults(short=1, long=100)
def test_packed_images(case, sound, work, judge):
    """A bit of the images is another: each image has a checksum, or decodes to something else."""
    root = shutil.copytree(sound.packed, work / "set")
    place = root / case.dice.choice(("train.images", "val.images"))
    data, what = case.dice.choice((flipped, damaged))(case.dice, place.read_bytes())
    case.tries("packed set: images", f"{place.name}: {what}")
    changed = data != place.read_bytes()
    place.write_bytes(data)
    if case.dice.random() < 0.7:
        ended = judge.judge(
            case, "data", "verify", "imagefolder", "--data-root", root, "--json", allowed={0, 3}
        )
        if ended.code == 0 and changed:
            raise case.fails("unnoticed", f"data verify takes them for sound: {ended.out[-500:]}")
        return
    command = (
        "eval",
        packed_net(sound),
        "--split",
        "val",
        "--device",
        "cpu",
        "--json",
        "--no-cache",
        "--data-root",
    )
    like = judge.remember("packed eval", *command, sound.packed)
    judge.judge(case, *command, root, allowed={0, 3}, like=like)


@faults(short=1, long=150)
def test_packed_index(case, sound, work, read_by):
    root = shutil.copytree(sound.packed, work / "set")
    if case.dice.random() < 0.5:
        place = root / "packed.json"
        changed = change(case.dice, json.loads(place.read_bytes()))
        place.write_bytes(changed.text)
        what = changed.what
    else:
        place = root / case.dice.choice(("train.safetensors", "val.safetensors"))
        weights = Weights.read(place.read_bytes())
        way = case.dice.randrange(5)
        if way == 0:
            data, what = weights.change_frame(case.dice)
        elif way == 1:
            data, what = damaged(case.dice, place.read_bytes())
        elif way == 2:
            key = case.dice.choice(sorted(weights.metadata))
            weights.metadata[key] = case.dice.choice(
                ("", "-1", "nan", "x" * 9999, "99999999999999999999", "\x1b[31m")
            )
            data, what = weights.write(), f"metadata {key} is {weights.metadata[key][:30]!r}"
        elif way == 3:
            what = weights.change_tensors(case.dice)
            data = weights.write()
        else:
            columns = load_file(place)
            name = case.dice.choice(("starts", "lengths", "labels"))
            value = case.dice.choice((-1, 2**62, -(2**63), 10**6, 2))
            columns[name] = columns[name].copy()
            columns[name][case.dice.randrange(len(columns[name]))] = value
            save_file(columns, place, Weights.read(place.read_bytes()).metadata)
            data, what = place.read_bytes(), f"one of {name} is {value}"
        place.write_bytes(data)
    case.tries("packed set: index", f"{place.name}: {what}")
    read_by(root, {0, 3}, of=("verify", "plan", "train", "eval"))


@faults(short=0, long=40)
def test_packed_files(case, sound, work, read_by):
    root = shutil.copytree(sound.packed, work / "set")
    place = case.dice.choice(sorted(root.iterdir()))
    place.unlink()
    way = case.dice.choice(("gone", "empty", "a pipe", "a link to /dev/zero", "a folder"))
    case.tries("packed set: a file of it", f"{place.name} is {way}")
    if way == "empty":
        place.touch()
    elif way == "a pipe":
        os.mkfifo(place)
    elif way == "a folder":
        place.mkdir()
    elif way != "gone":
        place.symlink_to("/dev/zero")
    read_by(root, {0, 3}, of=("verify", "plan", "train", "eval"))
