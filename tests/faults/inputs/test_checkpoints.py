"""Checkpoints: damaged, or changed and signed anew so that no hash tells."""

import json
import os
import zipfile

import pytest
import torch
from trials.case import faults
from trials.mutate.damage import damaged
from trials.mutate.weights import Weights

EVAL = ("--split", "val", "--device", "cpu", "--json")


@pytest.fixture
def read_by(case, judge, sound, work):
    """Holds one or two commands that read a checkpoint to what is promised."""

    def commands(path):
        compared = ("--device", "cpu", "--json", "--out", work / "compared")
        picture = sound.photos / "val/cat/1.png"
        return {
            "show --json": ("show", path, "--json"),
            "show": ("show", path, "--tensors"),
            "eval": ("eval", path, *EVAL),
            "predict": ("predict", path, picture, "--device", "cpu", "--json"),
            "compare": ("compare", path, sound.other / "checkpoints/last.safetensors", *compared),
            "from": ("train", "shapes/base", "--from", path, "--dry-run", "--device", "cpu", "--json"),
            "responses": ("analyze", "responses", path, "--device", "cpu", "--json"),
            "import": (
                "import",
                path,
                "--model",
                "resnet-8",
                "--dataset",
                "shapes",
                "--out",
                work / "imported.safetensors",
            ),
            "export": ("export", path, "--format", "onnx", "--opset", 99, "--out", work / "net.onnx"),
        }

    alone = work.parent / "net.safetensors"  # in no run, whose record adds to what is known
    if not alone.exists():
        alone.write_bytes(sound.net.read_bytes())

    def read(path, allowed, *, same):
        kinds = sorted(set(commands(path)) - {"import", "export"})
        names = () if "full of" in case.what else (path.name,)  # weights that are odd, and whole
        chosen = [case.dice.choice(["show --json", *kinds])]
        for kind in chosen:
            # A comparison calls the nets by their files, and says more of two that have one name.
            same = same and kind != "compare"
            like = judge.remember(f"checkpoint {kind}", *commands(alone)[kind]) if same else None
            judge.judge(case, *commands(path)[kind], allowed=allowed, names=names, like=like)
        if case.dice.random() < 0.06:
            judge.judge(case, *commands(path)["export"], allowed={2, *allowed} - {0}, names=[path.name])
        if case.dice.random() < 0.06:
            judge.judge(case, *commands(path)["import"], allowed={2, 4})

    return read


@faults(short=3, long=320)
def test_checkpoint_bytes(case, sound, work, read_by):
    data, what = damaged(case.dice, sound.net.read_bytes())
    case.tries("checkpoint: bytes", what)
    path = work / "net.safetensors"
    path.write_bytes(data)
    read_by(path, {0, 4}, same=True)


@faults(short=2, long=220)
def test_checkpoint_header(case, sound, work, read_by):
    weights = Weights.read(sound.net.read_bytes())
    data, what = weights.change_frame(case.dice)
    case.tries("checkpoint: header", what)
    path = work / "net.safetensors"
    path.write_bytes(data)
    read_by(path, {0, 3, 4}, same=False)


@faults(short=3, long=570)
def test_checkpoint_metadata(case, sound, work, read_by):
    weights = Weights.read(sound.net.read_bytes())
    changed = weights.change_metadata(case.dice)
    case.tries("checkpoint: metadata", f"{changed.what}, signed anew")
    path = work / "net.safetensors"
    path.write_bytes(weights.write())
    allowed = {0, 4}
    if changed.same_type or changed.path[0] in ("dataset", "data", "class_names", "spec"):
        allowed |= {2, 3}
    read_by(path, allowed, same=False)


@faults(short=2, long=250)
def test_checkpoint_tensors(case, sound, work, read_by):
    weights = Weights.read(sound.net.read_bytes())
    what = weights.change_tensors(case.dice)
    signed = case.dice.random() < 0.8
    case.tries("checkpoint: tensors", what + (", signed anew" if signed else ""))
    path = work / "net.safetensors"
    path.write_bytes(weights.write(signed=signed))
    read_by(path, {0, 4}, same=not signed)


@faults(short=0, long=80)
def test_no_checkpoint(case, judge, sound, work, read_by):
    """Something else is named as a checkpoint."""
    path = work / "net.safetensors"
    logits = sound.folder / "logits.safetensors"
    if not logits.exists():
        judge.remember(
            "logits", "eval", sound.net, "--split", "val", "--device", "cpu", "--save-logits", logits
        )
    data = logits.read_bytes()
    parts = Weights.read(data)
    empty = {
        f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(200_000)
    }
    makes = {
        "logits": lambda: path.write_bytes(data),
        "damaged logits": lambda: path.write_bytes(damaged(case.dice, data)[0]),
        "logits with odd metadata": lambda: path.write_bytes(
            (parts.change_metadata(case.dice), parts.write())[1]
        ),
        "a torch file": lambda: torch.save({"a": torch.zeros(2)}, path),
        "an old torch file": lambda: torch.save({"a": 1}, path, _use_new_zipfile_serialization=False),
        "an ONNX graph": lambda: path.write_bytes(b"\x08\x08\x12\x07pytorch:\xff\xff\xff\xff\x0f"),
        "an exported program": lambda: zipfile.ZipFile(path, "w").writestr("archive_format", "pt2"),
        "a picture": lambda: path.write_bytes((sound.photos / "val/cat/1.png").read_bytes()),
        "200,000 empty tensors": lambda: path.write_bytes(
            Weights({**Weights.read(sound.net.read_bytes()).metadata}, empty, b"").write()
        ),
        "a header of nothing": lambda: path.write_bytes(
            (90_000_000).to_bytes(8, "little") + b" " * 90_000_000
        ),
        "a deep header": lambda: path.write_bytes(parts.framed(b"[" * 3_000_000)),
        "a list": lambda: path.write_bytes(parts.framed(json.dumps([1] * 9).encode())),
        "a pipe": lambda: os.mkfifo(path),
        "a link to /dev/zero": lambda: path.symlink_to("/dev/zero"),
        "a link to /dev/full": lambda: path.symlink_to("/dev/full"),
        "a link to itself": lambda: path.symlink_to(path),
        "a folder": path.mkdir,
        "nothing": lambda: None,
        "empty": path.touch,
    }
    what = case.dice.choice(sorted(makes))
    case.tries("checkpoint: something else", what)
    makes[what]()
    read_by(path, {2, 4}, same=False)
