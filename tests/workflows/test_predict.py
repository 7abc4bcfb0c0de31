"""``predict``: the classes of pictures are those that an evaluation finds, whatever the batch."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.image_set import ImageSet
from rescli.errors import CheckpointError, DataError, UsageError
from rescli.workflows.evaluate import evaluate
from rescli.workflows.load import load
from rescli.workflows.predict import predict


@pytest.fixture
def shape_files(discerning8: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """The val images of discerning8's shapes as PNG files, and what an evaluation takes each for."""
    result = evaluate(discerning8, split="val", device="cpu", cache=False).results[0]
    assert isinstance(result.images, ImageSet)
    folder = tmp_path / "shapes"
    folder.mkdir()
    for number, pixels in enumerate(result.images.images_NHWC):
        Image.fromarray(pixels.numpy()).save(folder / f"{number:03d}.png")
    assert result.logits_NVK is not None
    return folder, [result.class_names[k] for k in result.logits_NVK[:, 0].argmax(1)]


@pytest.mark.parametrize("batch_size", [1, 7, 64, None])
def test_small_images_get_the_classes_of_an_evaluation(
    discerning8: Path, shape_files: tuple[Path, list[str]], batch_size: int | None
) -> None:
    folder, expected = shape_files
    found = predict(discerning8, folder, device="cpu", batch_size=batch_size)
    assert [row.label for row in found] == expected
    assert len(set(expected)) > 4
    assert [Path(row.file).name for row in found] == [f"{number:03d}.png" for number in range(60)]


@pytest.mark.parametrize("protocol", [None, "ten-crop", "flip", "multi-scale"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_photographs_get_the_classes_of_an_evaluation(
    photo_net: Path, photo_folder: Path, protocol: str | None, batch_size: int
) -> None:
    result = evaluate(
        photo_net, split="val", protocol=protocol, data_root=photo_folder, device="cpu"
    ).results[0]
    expected = dict(zip(result.file_names, result.log_probabilities_NK.exp(), strict=True))
    root = read_folder(photo_folder, ("val",))["val"].root
    found = predict(photo_net, [root], top=3, protocol=protocol, device="cpu", batch_size=batch_size)
    assert len(found) == 12
    for row in found:
        probabilities = expected[str(Path(row.file).relative_to(root))]
        assert row.label == result.net_classes[int(probabilities.argmax())]
        assert [one.probability for one in row.top] == pytest.approx(
            sorted(probabilities.tolist(), reverse=True), abs=1e-5
        )


def test_pictures_of_any_kind_by_a_loaded_net(net8: Path, odd_files: dict[str, Path]) -> None:
    net = load(net8)
    pixels = np.zeros((40, 40, 3), np.uint8)
    found = net.predict([odd_files["rgb"], Image.fromarray(pixels), pixels], top=2)
    assert [row.file for row in found] == [str(odd_files["rgb"]), "#1", "#2"]
    assert found[1].top == found[2].top
    assert all(len(row.top) == 2 and row.top[0].probability >= row.top[1].probability for row in found)
    assert net.predict(odd_files["rgb"]).rows[0].label == found[0].label
    with pytest.raises(DataError, match=r"text\.jpg cannot be decoded"):
        net.predict([odd_files["rgb"], odd_files["text"]])


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_an_array_of_three_dimensions_is_one_picture(net8: Path, kind: str) -> None:
    net, pixels = load(net8), np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    given = torch.from_numpy(pixels) if kind == "torch" else pixels
    assert len(net.predict(given)) == 2
    (one,) = net.predict(given[0])
    assert one.label == net.predict(pixels[:1])[0].label
    assert len(net.predict(given[0, :, :, 0])) == 1  # grey
    assert torch.equal(net.preprocess(given[0]), net.preprocess(pixels[0]))


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        (
            torch.zeros(3, 32, 32, dtype=torch.uint8),
            r"torch.Tensor torch.uint8 \(3, 32, 32\)",
            "channels come last",
        ),
        (torch.zeros(32, 32, 3, requires_grad=True), r"torch.float32 \(32, 32, 3\)", "net.model"),
        (np.zeros((2, 32, 32, 3)), r"numpy.ndarray float64 \(32, 32, 3\)", "from 0 to 255"),
        (np.zeros((1, 2, 32, 32, 3), np.uint8), r"\(1, 2, 32, 32, 3\)", None),
        (np.zeros(7, np.uint8), r"\(7,\)", None),
        (np.uint8(3), r"numpy.uint8 uint8 \(\)", None),
        (5, "this is int", None),
        (b"abc", "this is bytes", None),
        ([None], "this is NoneType", None),
    ],
    ids=["channels first", "float tensor", "floats", "five", "one", "scalar", "int", "bytes", "None"],
)
def test_what_is_no_picture_is_told_what_is(net8: Path, given: Any, says: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        load(net8).predict(given)
    assert "uint8 array (H, W, 3), (H, W, 1) or (H, W)" in str(caught.value)
    assert (caught.value.hint is None) if hint is None else hint in str(caught.value.hint)


def test_integers_of_32_bits_do_not_say_what_is_white(net8: Path, tmp_path: Path) -> None:
    net, levels = load(net8), np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.int32)
    Image.fromarray(levels).save(tmp_path / "levels.tif")
    for picture in (Image.fromarray(levels), tmp_path / "levels.tif"):
        with pytest.raises(DataError, match="mode 'I'"):
            net.predict(picture)
    # PGM of 16 bits, which Pillow reads as integers of 32.
    (tmp_path / "grey.pgm").write_bytes(b"P5 50 40 65535\n" + (levels * 257).astype(">u2").tobytes())
    with Image.open(tmp_path / "grey.pgm") as opened:
        assert opened.mode == "I"
        for picture in (opened, tmp_path / "grey.pgm"):
            assert torch.equal(net.preprocess(picture), net.preprocess(levels.astype(np.uint8)))


def test_what_cannot_be_read_is_skipped_with_its_reason(
    photo_net: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    absent = tmp_path / "absent.jpg"
    found = predict(photo_net, [odd_files["rgb"].parent, absent, tmp_path / "bare"], device="cpu")
    assert len(found) == 8
    reasons = {Path(one.file).name: one.reason for one in found.skipped}
    assert set(reasons) == {"bare", "absent.jpg", "damaged.jpg", "text.jpg", "empty.jpg"}
    assert reasons["absent.jpg"] == f"no such file: {absent}"
    assert "holds no image" in reasons["bare"]
    # The others are not touched by what lay beside them in the batch.
    alone = predict(photo_net, Path(found[0].file), device="cpu")[0]
    assert (alone.label, alone.probability) == (found[0].label, pytest.approx(found[0].probability, abs=1e-5))


@pytest.mark.parametrize("protocol", [None, "ten-crop", "multi-scale"])
def test_a_sliver_is_a_picture_like_any_other(photo_net: Path, tmp_path: Path, protocol: str | None) -> None:
    Image.new("L", (60_000, 1)).save(tmp_path / "line.png")
    found = predict(photo_net, tmp_path / "line.png", protocol=protocol, device="cpu")
    assert (len(found), found.skipped) == (1, ())
    assert found.figure().axes


def test_hidden_files_and_folders_are_left_out(net8: Path, tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32))
    for name in ("a.png", "below/b.JPG", ".hidden.png", ".cache/c.png", "notes.txt"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, format="PNG")
    (tmp_path / "mine/notes.txt").write_text("no image by content")
    found = predict(net8, tmp_path / "mine", device="cpu")
    assert [Path(row.file).name for row in found] == ["a.png", "b.JPG"]


def test_changed_weights_do_not_carry_the_name_of_the_file(net8: Path) -> None:
    net, pixels = load(net8), np.zeros((32, 32, 3), np.uint8)
    of_file = net.predict(pixels)
    assert (of_file.checkpoint, of_file.sha256) == (str(net8), net.checkpoint.sha256)
    with torch.no_grad():
        net.model.fc.bias[3] += 100  # type: ignore[index, union-attr, operator]
    found = net.predict(pixels)
    assert found[0].label == net.class_names[3]
    assert (found.checkpoint, found.sha256, found.weights) == (None, None, "edited")
    assert found.to_json()["checkpoint"] is None
    assert "resnet-8 (edited)" in repr(found)
    assert "resnet-8 (edited)" in found._repr_html_()
    assert "resnet-8 (edited)" in found.figure().axes[0].texts[0].get_text()
    assert "weights edited" in repr(net)
    assert "12.50 %" not in repr(net)


def test_a_layer_that_was_added_is_an_edit_too(net8: Path) -> None:
    net = load(net8)
    net.model.extra = torch.nn.Linear(2, 2)
    assert net.predict(np.zeros((32, 32, 3), np.uint8)).checkpoint is None


def test_no_pictures_give_no_predictions(net8: Path) -> None:
    found = predict(net8, [], device="cpu")
    assert (len(found), found.skipped) == (0, ())
    assert "0 pictures" in repr(found)


def written_heads(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def test_a_shell_shows_the_first_few_with_their_classes(net8: Path, odd_files: dict[str, Path]) -> None:
    found = predict(net8, [odd_files["rgb"]] * 30, device="cpu", top=2)
    head, first, *_, last = repr(found).splitlines()
    assert head == "Predictions of resnet-8 for 30 pictures"
    assert all(f"{one.label} {one.probability:.2%}" in first for one in found[0].top)
    assert (last.strip(), len(repr(found).splitlines())) == ("... 22 more", 10)


def test_predictions_as_table_csv_json_and_pages(
    net8: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    found = predict(net8, odd_files["rgb"].parent, device="cpu", top=3)
    found.to_csv(tmp_path / "found.csv")
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["label"] for row in rows] == [row.label for row in found]
    assert [float(row["probability3"]) for row in rows] == pytest.approx(
        [row.top[2].probability for row in found], abs=1e-6
    )
    written = json.loads(json.dumps(found.to_json()))
    assert written["predictions"][0]["top"][0] == {
        "label": found[0].label,
        "probability": found[0].probability,
    }
    assert len(written["skipped"]) == 3
    assert "as it is where 32x32" in written["preparation"]
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + len(found)
    assert "damaged.jpg cannot be decoded" in html
    table = found.table()
    assert list(table.heads) == written_heads(tmp_path / "found.csv")
    assert str(found).splitlines()[0].split() == ["file", "label", "probability"]
    for line, row in zip(str(found).splitlines()[1:], found, strict=True):
        for one in row.top:
            assert f"{one.label}" in line
            assert f"{one.probability:.2%}" in line
    assert "as it is where 32x32" in html.partition("</caption>")[0]


def test_a_frame_where_pandas_is_installed(net8: Path, odd_files: dict[str, Path]) -> None:
    pytest.importorskip("pandas")
    frame = predict(net8, odd_files["rgb"], device="cpu").to_frame()
    assert list(frame.columns[:5]) == ["file", "label", "probability", "label2", "probability2"]
    assert frame["probability2"].dtype == float


def test_the_contact_sheet_names_each_picture(net8: Path, odd_files: dict[str, Path]) -> None:
    found = predict(net8, odd_files["rgb"].parent, device="cpu")
    texts = [text.get_text() for text in found.figure().axes[0].texts]
    assert texts[0] == "resnet-8, single: 8 pictures"
    for row in found:
        assert row.label in texts
        assert Path(row.file).name in texts
    assert "3 of 8 pictures" in found.figure(most=3).axes[0].texts[0].get_text()


def test_a_contact_sheet_of_large_photographs_decodes_no_more_than_it_shows(
    net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((4000, 3000), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg")
    found = predict(net8, [tmp_path / "large.jpg"] * 3, device="cpu")
    decoded: list[tuple[int, int]] = []
    convert = Image.Image.convert

    def noting(image: Image.Image, *args: Any, **kwargs: Any) -> Image.Image:
        decoded.append(image.size)
        return convert(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", noting)
    drawn = found.figure().axes[0].images
    assert decoded == [(1000, 750) for _ in drawn]
    whole = np.asarray(Image.open(tmp_path / "large.jpg").resize((150, 112), Image.Resampling.BICUBIC))
    assert np.abs(np.asarray(drawn[0].get_array()).astype(int) - whole).max() <= 6


def test_the_progress_ends_with_all(net8: Path, shape_files: tuple[Path, list[str]]) -> None:
    seen: list[tuple[int, int]] = []
    predict(
        net8,
        shape_files[0],
        device="cpu",
        protocol="flip",
        batch_size=16,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (60, 60)
    assert seen == sorted(seen)


def test_a_notebook_shows_a_bar_for_many_pictures(
    net8: Path, shape_files: tuple[Path, list[str]], notebook_cell: Any
) -> None:
    files = sorted(shape_files[0].rglob("*.png"))
    predict(net8, files[:20], device="cpu")
    assert notebook_cell.outputs == []
    load(net8, device="cpu").predict(files)
    assert "60/60" in notebook_cell.seen
    assert "60/60" not in notebook_cell.left


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"top": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"protocol": "center224"}, "not for 32x32 images"),
        ({"protocol": "tencrop"}, "Did you mean 'ten-crop'"),
        ({"device": "tpu"}, "unknown device"),
    ],
)
def test_choices_that_cannot_work(net8: Path, choice: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        predict(net8, [], **{"device": "cpu", **choice})


def test_weights_that_are_of_no_use(checkpoint_of: Callable[..., Any], tmp_path: Path) -> None:
    checkpoint = checkpoint_of("resnet-8")
    checkpoint.tensors["fc.weight"].fill_(3e38)
    checkpoint.write(tmp_path / "huge.safetensors")
    with pytest.raises(CheckpointError, match="not finite in fp32"):
        load(tmp_path / "huge.safetensors").predict(np.full((32, 32, 3), 255, np.uint8))


def test_a_folder_that_may_not_be_read_is_skipped(
    net8: Path, shape_files: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(folder: Any) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = predict(net8, [tmp_path / "closed", shape_files[0]], device="cpu")
    assert len(found) == len(shape_files[1])
    assert [one.reason for one in found.skipped] == [
        f"{tmp_path / 'closed'} cannot be read: Permission denied"
    ]


def test_long_names_move_their_own_line_alone(net8: Path, shape_files: tuple[Path, list[str]]) -> None:
    found = predict(net8, shape_files[0], device="cpu", top=2)
    top = tuple(replace(one, label="x" * 200) for one in found[0].top)
    odd = replace(found, rows=(replace(found[0], file="l" * 200, top=top), *found.rows[1:]))
    lines = str(odd).splitlines()
    assert "x" * 41 not in lines[1]
    assert "l" * 200 in lines[1]
    assert len(lines[0]) < 110
