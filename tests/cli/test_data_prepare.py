"""``rescli data prepare imagenet``, with archives of three classes in place of the official ones."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rescli.cli.data import prepare as command_line
from rescli.data.imagenet.labels import DEVKIT
from rescli.data.imagenet.official import OFFICIAL, TRAIN, VAL, Official
from rescli.data.specs import ImageNetSpec
from rescli.workflows.data import prepare_imagenet as data_prepare

Rescli = Callable[..., Any]


@pytest.fixture
def three_classes(ilsvrc: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """ImageNet as it would be with the three."""
    sizes = {"train": len(ilsvrc.train), "val": len(ilsvrc.val)}
    monkeypatch.setattr(ImageNetSpec, "class_names", ilsvrc.class_names)
    monkeypatch.setattr(ImageNetSpec, "sizes", sizes)
    monkeypatch.setattr(os, "sync", lambda: None)  # others may be writing much
    return ilsvrc


def publish(ilsvrc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives become the official ones."""
    for name in (TRAIN, VAL, DEVKIT):
        content = (ilsvrc.folder / name).read_bytes()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        size = None if OFFICIAL[name].num_bytes is None else len(content)
        monkeypatch.setitem(OFFICIAL, name, Official(size, md5))


def names(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*.JPEG") if ".unfinished" not in str(path)
    )


def wanted(ilsvrc: Any) -> list[str]:
    return sorted(
        f"{split}/{wnid}/{name}"
        for split in ("train", "val")
        for name, (wnid, _) in getattr(ilsvrc, split).items()
    )


def test_then_it_can_be_verified_and_read(rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", out)
    assert (answer.code, answer.out) == (0, f"{out}\n")
    assert "the official one 147,897,477,120: its MD5 is not checked" in answer.err
    assert "train: 9 images in 3 classes\nval: 7 images in 3 classes\n" in answer.err
    assert names(out) == wanted(three_classes)
    assert len(ImageNetSpec().build(out, ("val",))["val"]) == 7
    again = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", out)
    assert again.code == 0
    assert "9 images in 3 classes, all there before" in again.err


def test_one_object(
    rescli: Rescli, three_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(three_classes, monkeypatch)
    for flags in (("--json",), ()):
        before = ("--json",) if not flags else ()  # on either side
        command = ("data", *before, "prepare", "imagenet", "--from", three_classes.folder)
        told = rescli(*command, "--out", tmp_path / "out", *flags).json
        assert told["root"] == str(tmp_path / "out")
        assert told["labels"] == str(three_classes.folder / DEVKIT)
        assert [row["official"] for row in told["archives"]] == [True, True, True]
        assert [(row["split"], row["num_images"]) for row in told["splits"]] == [("train", 9), ("val", 7)]
        assert told["splits"][0]["images_per_class"] == {"n01440764": 2, "n01443537": 3, "n15075141": 4}
    assert [row["num_new"] for row in told["splits"]] == [0, 0]


def test_where_the_archives_are_unless_told_otherwise(rescli: Rescli, three_classes: Any) -> None:
    assert rescli("data", "prepare", "imagenet", "--from", three_classes.folder).code == 0
    assert names(three_classes.folder) == wanted(three_classes)


def test_val_alone_with_a_csv(rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
    (three_classes.folder / TRAIN).unlink()
    (three_classes.folder / DEVKIT).unlink()
    command = ("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out")
    answer = rescli(*command)
    assert answer.code == 3
    assert "but no labels" in answer.err
    rows = [f"{name},{wnid}" for name, (wnid, _) in three_classes.val.items()]
    (three_classes.folder / "val.csv").write_text("\n".join(rows))
    assert rescli(*command).code == 0
    assert names(tmp_path / "out") == [name for name in wanted(three_classes) if name.startswith("val")]


class TestMd5:
    @pytest.mark.parametrize("name", [TRAIN, VAL])
    def test_another_content_of_the_same_size_is_exit_3(
        self, rescli: Rescli, three_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        publish(three_classes, monkeypatch)
        path = three_classes.folder / name
        whole = bytearray(path.read_bytes())
        whole[whole.rindex(b"4")] += 1  # in an image
        path.write_bytes(whole)
        answer = rescli(
            "data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out"
        )
        assert answer.code == 3
        assert f"expected {OFFICIAL[name].md5}" in answer.err
        assert names(tmp_path / "out") == []

    def test_another_devkit_is_told_of(self, rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
        answer = rescli(
            "data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out"
        )
        assert f"{DEVKIT} is not the official archive: its MD5 is" in answer.err

    def test_is_computed_once(
        self, rescli: Rescli, three_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(three_classes, monkeypatch)
        command = ("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out")
        assert rescli(*command).code == 0
        with monkeypatch.context() as patch:
            patch.setattr(hashlib, "md5", None)
            assert rescli(*command).code == 0
        path = three_classes.folder / VAL
        path.write_bytes(path.read_bytes().replace(b"4", b"5", 1))  # newer than what was checked
        assert rescli(*command).code == 3


def test_no_room(rescli: Rescli, three_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000)
    monkeypatch.setattr(data_prepare.shutil, "disk_usage", lambda _: usage)
    answer = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out")
    assert answer.code == 2
    assert "has room for 0.0 GB" in answer.err
    assert names(tmp_path / "out") == []


def test_one_at_a_time(rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with data_prepare._alone(tmp_path / "out"):
        answer = rescli(
            "data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out"
        )
    assert answer.code == 2
    assert "being prepared by another process" in answer.err


def test_what_cannot_be_written_is_exit_4(rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    answer = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "out")
    assert answer.code == 4
    assert "cannot make" in answer.err


@pytest.mark.parametrize(
    ("name", "source", "code", "says"),
    [
        ("imagnet", "archives", 2, "Did you mean 'imagenet'"),
        ("imagenet", "nowhere", 3, f"nowhere is no folder with {TRAIN}"),
        ("imagenet", ".", 3, f"has neither {TRAIN} nor {VAL}"),
    ],
)
def test_what_cannot_be_prepared(
    rescli: Rescli, tmp_path: Path, name: str, source: str, code: int, says: str
) -> None:
    answer = rescli("data", "prepare", name, "--from", tmp_path / source, "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err
    assert not (tmp_path / "out").exists()


def test_the_official_sizes_refuse_three_classes(rescli: Rescli, ilsvrc: Any, tmp_path: Path) -> None:
    answer = rescli("data", "prepare", "imagenet", "--from", ilsvrc.folder, "--out", tmp_path / "out")
    assert answer.code == 3
    assert "does not have the 1,000 classes it should have: 997 missing" in answer.err


def test_lines_and_a_bar(
    rescli: Rescli, three_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("data", "prepare", "imagenet", "--from", three_classes.folder, "--out")
    monkeypatch.setattr(command_line, "LINE_SECONDS", 0.0)
    assert "val: 0.0 of 0.0 GB" in rescli(*command, tmp_path / "a").err
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take stderr for a terminal
    shown = rescli(*command, tmp_path / "b").err
    assert "of 0.0 GB" not in shown
    assert "val" in shown


def test_flat_val_can_be_verified_and_packed(rescli: Rescli, three_classes: Any, tmp_path: Path) -> None:
    (tmp_path / "flat/val").mkdir(parents=True)
    for shade, name in enumerate(three_classes.val):
        Image.new("RGB", (40, 50), (9 * shade, 99, 9)).save(tmp_path / "flat/val" / name)
    shutil.copy(three_classes.folder / DEVKIT, tmp_path / "flat")
    told = rescli(
        "data", "verify", "imagenet", "--data-root", tmp_path / "flat", "--split", "val", "--json"
    ).json
    assert told["ok"] is True
    for part in three_classes.train:  # a pack has both
        wnid = three_classes.train[part][0]
        (tmp_path / "flat/train" / wnid).mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "flat/val/ILSVRC2012_val_00000001.JPEG", tmp_path / "flat/train" / wnid / part)
    packed = tmp_path / "packed"
    answer = rescli("data", "pack", "imagenet", "--data-root", tmp_path / "flat", "--out", packed)
    assert answer.code == 0, answer.err
    before, after = (ImageNetSpec().build(root, ("val",))["val"] for root in (tmp_path / "flat", packed))
    assert before.labels_N.equal(after.labels_N)
    assert before.file_names == after.file_names


KILLED = """
import sys
from pathlib import Path
from rescli.data.imagenet.archives import extract_train
extract_train(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(","), num_images=int(sys.argv[4]))
"""


def test_killed_by_the_system_it_goes_on(three_classes: Any, tmp_path: Path, rescli: Rescli) -> None:
    """kill -9 in the second class; what stands then is whole, and the rest is made."""
    for wnid in three_classes.class_names:
        for k in range(800):
            three_classes.train[f"{wnid}_more{k}.JPEG"] = (wnid, b"x" * 5000)
    three_classes.write_train()
    ImageNetSpec.sizes["train"] = len(three_classes.train)  # type: ignore[index]
    out = tmp_path / "out"
    arguments = [
        *(str(three_classes.folder / TRAIN), str(out / "train")),
        *(",".join(three_classes.class_names), str(len(three_classes.train))),
    ]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    while not (out / "train" / ".n01443537.unfinished").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert [path.name for path in (out / "train").glob("n*")] == ["n01440764"]
    assert (out / "train" / ".n01443537.unfinished").exists()
    answer = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", out, "--json")
    assert answer.code == 0, answer.err
    (new,) = [row["num_new"] for row in json.loads(answer.out)["splits"] if row["split"] == "train"]
    assert new == len(three_classes.train) - 802
    assert names(out) == wanted(three_classes)
    assert not list(out.rglob("*.unfinished"))


@pytest.mark.parametrize(
    "name",
    ["x" * 300 + ".JPEG", "two\nlines.JPEG", "\x1b[2J.JPEG", "..", "/x.JPEG", "a/../../x.JPEG", "a\\x.JPEG"],
)
def test_a_member_whose_name_is_no_plain_name_is_refused(
    rescli: Rescli, three_classes: Any, tmp_path: Path, name: str
) -> None:
    inner, archive = io.BytesIO(), three_classes.folder / TRAIN
    info = tarfile.TarInfo(name)
    with tarfile.open(fileobj=inner, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with tarfile.open(archive) as tar:
        others = [(one, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w:") as tar:
        for number, (member, content) in enumerate(others):
            content = content if number else inner.getvalue()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    answer = rescli("data", "prepare", "imagenet", "--from", three_classes.folder, "--out", tmp_path / "made")
    assert answer.code == 3
    assert "no plain file with a plain name" in answer.err
    assert "\x1b" not in answer.err
    assert [path for path in (tmp_path / "made").rglob("*") if path.is_file() and path.stem[0] == "x"] == []
