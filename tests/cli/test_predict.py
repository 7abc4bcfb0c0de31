"""``rescli predict`` as a user types it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Rescli = Callable[..., Any]

NAMES = ("a.png", "b.jpg", "below/c.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in NAMES:
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / name)
    return folder


def test_a_table_with_file_label_and_probability(rescli: Rescli, net8: Path, pictures: Path) -> None:
    answer = rescli("predict", net8, pictures, "--device", "cpu")
    assert answer.code == 0
    assert answer.err == (
        "prepared: shorter side 32 (bilinear, antialiased), 32x32 centre; as it is where 32x32; 1 view\n"
    )
    head, *rows = answer.out.splitlines()
    assert head.split() == ["file", "label", "probability"]
    assert [row.split()[0] for row in rows] == [
        str(pictures / name) for name in ("a.png", "b.jpg", "below/c.png")
    ]
    assert all(row.endswith("%") for row in rows)


@pytest.mark.parametrize("top", [1, 2, 5])
def test_the_further_classes_stand_in_the_table(rescli: Rescli, net8: Path, pictures: Path, top: int) -> None:
    flags = ("--top", top, "--device", "cpu")
    found = rescli("predict", net8, pictures / "a.png", *flags, "--json").json["predictions"][0]["top"]
    (row,) = rescli("predict", net8, pictures / "a.png", *flags).out.splitlines()[1:]
    assert row.count("%") == len(found) == top
    for one in found[1:]:
        assert f"{one['label']} {one['probability']:.2%}" in row


def test_one_json_object(rescli: Rescli, net8: Path, pictures: Path) -> None:
    answer = rescli(
        "predict", net8, pictures / "a.png", "--top", 3, "--ten-crop", "--json", "--device", "cpu"
    )
    assert answer.code == 0
    found = answer.json
    assert (found["model"], found["protocol"], found["checkpoint"]) == ("resnet-8", "ten-crop", str(net8))
    (row,) = found["predictions"]
    assert len(row["top"]) == 3
    assert row["top"][0] == {"label": row["label"], "probability": row["probability"]}
    assert found["skipped"] == []


def test_names_on_stdin(rescli: Rescli, net8: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pictures / 'b.jpg'}\n\n{pictures / 'below'}\n"))
    rows = rescli("predict", net8, "-", "--json", "--device", "cpu").json["predictions"]
    assert [Path(row["file"]).name for row in rows] == ["b.jpg", "c.png"]
    marked = f"\ufeff{pictures / 'b.jpg'}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(marked)))
    assert rescli("predict", net8, "-", "--device", "cpu").code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert rescli("predict", net8, "-").code == 2


def test_what_cannot_be_read_is_named_and_the_others_are_printed(
    rescli: Rescli, net8: Path, pictures: Path
) -> None:
    (pictures / "bad.png").write_bytes(b"nothing")
    answer = rescli("predict", net8, pictures, pictures / "absent.png", "--json", "--device", "cpu")
    assert answer.code == 3
    assert len(answer.json["predictions"]) == 3
    assert [Path(one["file"]).name for one in answer.json["skipped"]] == ["bad.png", "absent.png"]
    assert f"skipped: {pictures / 'bad.png'} cannot be decoded" in answer.err
    assert "2 of 5 could not be read" in answer.err


def test_a_name_that_is_too_long_is_one_unreadable_picture(
    rescli: Rescli, net8: Path, pictures: Path
) -> None:
    answer = rescli("predict", net8, "x" * 300 + ".png", pictures, "--json", "--device", "cpu")
    assert answer.code == 3
    assert len(answer.json["predictions"]) == 3
    assert answer.json["skipped"][0]["reason"].startswith("no such file: xxx")


@pytest.mark.parametrize("stdin", ["closed", "absent"])
def test_a_closed_stdin_is_bad_usage(
    rescli: Rescli, net8: Path, monkeypatch: pytest.MonkeyPatch, stdin: str
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed if stdin == "closed" else None)
    answer = rescli("predict", net8, "-")
    assert answer.code == 2
    assert "stdin, which is closed" in answer.err


def test_names_on_stdin_need_be_no_text(
    rescli: Rescli, net8: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsencode(pictures) + b"/caf\xe9\xe2\x80\xa8.png"  # latin-1, and a line separator of Unicode
    os.rename(pictures / "a.png", odd)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(odd + b"\nwith\0null.png\n")))
    answer = rescli("predict", net8, "-", "--json", "--device", "cpu")
    assert [os.fsencode(row["file"]) for row in answer.json["predictions"]] == [odd]
    assert [one["file"] for one in answer.json["skipped"]] == ["with\0null.png"]


@pytest.mark.parametrize("flag", ["--csv", "--figure"])
def test_a_file_whose_name_is_too_long_is_refused_before_the_work(
    rescli: Rescli, net8: Path, pictures: Path, tmp_path: Path, flag: str
) -> None:
    answer = rescli("predict", net8, pictures, flag, tmp_path / ("x" * 300 + ".png"))
    assert (answer.code, answer.out) == (2, "")
    assert "the name is too long" in answer.err
    longest = tmp_path / ("x" * 251 + ".png")
    assert rescli("predict", net8, pictures, flag, longest, "--device", "cpu").code == 0
    assert longest.is_file()


def test_a_sheet_and_a_csv(rescli: Rescli, net8: Path, pictures: Path, tmp_path: Path) -> None:
    sheet, table = tmp_path / "sheet.png", tmp_path / "found.csv"
    answer = rescli("predict", net8, pictures, "--figure", sheet, "--csv", table, "--device", "cpu")
    assert answer.code == 0
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"
    assert len(table.read_text().splitlines()) == 4


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_classes_are_those_of_saved_logits(
    rescli: Rescli, discerning8: Path, tmp_path: Path, batch_size: int
) -> None:
    from safetensors import safe_open

    from rescli.data.specs import ShapesSpec

    images = ShapesSpec(num_train=400, num_val=60).build(None, ("val",))["val"]
    folder = tmp_path / "val"
    folder.mkdir()
    for number, pixels in enumerate(images.images_NHWC):
        Image.fromarray(pixels.numpy()).save(folder / f"{number:02d}.png")
    saved = tmp_path / "logits.safetensors"
    assert rescli("eval", discerning8, "--split", "val", "--save-logits", saved, "--device", "cpu").code == 0
    with safe_open(saved, "pt") as file:
        logits = file.get_tensor("logits")
        names = json.loads(file.metadata()["class_names"])
    flags = ("--batch-size", batch_size, "--json", "--device", "cpu")
    rows = rescli("predict", discerning8, folder, *flags).json["predictions"]
    assert [row["label"] for row in rows] == [names[k] for k in logits.argmax(1)]


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--figure", "sheet.bmp"), 2, "--figure sheet.bmp: a picture ends in one of"),
        (("--csv", "nowhere/found.csv"), 2, "no such folder: nowhere"),
        (("--ten-crop", "--flip"), 2, "one protocol at a time"),
        (("--protocol", "center224"), 2, "--protocol single"),
        (("--top", "0"), 2, "equal to 1"),
        (("--device", "tpu"), 2, "unknown device"),
    ],
)
def test_bad_flags(
    rescli: Rescli, discerning8: Path, pictures: Path, flags: tuple[str, ...], code: int, says: str
) -> None:
    answer = rescli("predict", discerning8, pictures, *flags)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err


def test_a_missing_checkpoint_is_exit_4_and_no_path_is_bad_usage(rescli: Rescli, net8: Path) -> None:
    assert rescli("predict", "absent.safetensors", "a.png").code == 4
    assert rescli("predict", net8).code == 2


def test_module_import_is_light() -> None:
    code = (
        "import sys, rescli.cli.predict;"
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'matplotlib'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_mistakes_of_an_evaluation_are_drawn(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "mistakes.png"
    answer = rescli("eval", net8, "--split", "val", "--mistakes", sheet, "--json", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "per_class" not in answer.json["results"][0]
    with Image.open(sheet) as picture:
        assert picture.width == 1330
    two = rescli("eval", net8, net8, "--mistakes", tmp_path / "two.png")
    assert two.code == 2
    assert "--mistakes draws one result" in two.err
