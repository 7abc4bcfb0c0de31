"""The program beside an ONNX file, run as a process, gives what predicting with the checkpoint gives."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rescli
from rescli.data.folders.specs import ImageFolderSpec
from rescli.exporters.onnx.program import program_path
from rescli.foreign_text import readable
from rescli.workflows.export import export

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

CLASSES = ("Katze 🐈", "собака", '"quoted"\\', "犬\nneu")


def pictures(folder: Path) -> list[Path]:
    """Wide, high, of 32x32, grey of 16 bits, with a palette and transparency."""
    rng = np.random.default_rng(0)
    made = {
        "wide.png": Image.fromarray(rng.integers(0, 256, (233, 401, 3), dtype=np.uint8)),
        "high photo.jpg": Image.fromarray(rng.integers(0, 256, (12, 7, 3), dtype=np.uint8)).resize(
            (300, 517)
        ),
        "small.png": Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)),
        "grey16.png": Image.fromarray(rng.integers(0, 65536, (90, 70)).astype(np.uint16)),
        "palette.gif": Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).quantize(32),
    }
    for name, image in made.items():
        image.save(folder / name)
    return [folder / name for name in made]


def answered(program: Path, files: list[Path]) -> list[dict[str, float]]:
    """Of each picture the classes that the program prints, and their probabilities."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(program), *map(str, files)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd="/",
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    blocks = done.stdout.split(f"{files[0].parent}{os.sep}")[1:]
    assert [block.partition("\n")[0] for block in blocks] == [file.name for file in files]
    found = []
    for block in blocks:
        rows = block.partition("\n")[2].removesuffix("\n").split("\n  ")
        found.append(
            {name: float(number) for number, name in (row.strip(" ").split("  ", 1) for row in rows)}
        )
    return found


def require_predicted(checkpoint: Path, program: Path, files: list[Path], *, within: float = 2e-5) -> None:
    theirs = answered(program, files)
    ours = rescli.load(checkpoint).predict(files, top=5, precision="fp32").rows
    for file, found, row in zip(files, theirs, ours, strict=True):
        expected = {readable(one.label): pytest.approx(one.probability, abs=within) for one in row.top}
        assert found == expected, file.name


@pytest.fixture
def photos4(checkpoint_of: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """A narrow ResNet-18 of photographs with four classes of any script."""

    def make(normalization: str, orientation: str = "stored") -> Path:
        dataset = ImageFolderSpec.model_validate(
            {"kind": "imagefolder", "classes": CLASSES, "orientation": orientation}
        )
        made = checkpoint_of("resnet-18", dataset=dataset, normalization=normalization, width=8)
        path = tmp_path / f"{normalization}.safetensors"
        made.write(path)
        return path

    return make


@pytest.mark.parametrize(
    ("normalization", "raw"), [("per-pixel-mean", False), ("per-channel", False), ("per-pixel-mean", True)]
)
def test_of_photographs(photos4: Callable[..., Path], tmp_path: Path, normalization: str, raw: bool) -> None:
    checkpoint = photos4(normalization)
    out = tmp_path / 'ausgeführt\'s "net".onnx'
    made = export(checkpoint, "onnx", out, with_preprocessing=raw, check_images=10)
    assert made.files == [out, out.with_suffix(".py")]
    ast.parse(made.files[1].read_text())
    require_predicted(checkpoint, made.files[1], pictures(tmp_path))


def test_photographs_that_are_turned(photos4: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = photos4("per-channel", orientation="upright")
    made = export(checkpoint, "onnx", tmp_path / "net.onnx", check_images=10)
    turned = Image.Exif()
    turned[0x0112] = 6
    rng = np.random.default_rng(3)
    lying = tmp_path / "lying.jpg"
    Image.fromarray(rng.integers(0, 256, (9, 14, 3), dtype=np.uint8)).resize((280, 180)).save(
        lying, exif=turned
    )
    require_predicted(checkpoint, made.files[1], [lying])
    assert made.files[1].read_text().count("turned upright") == 1
    assert "turned upright, as its EXIF says" in made.files[1].read_text()


@pytest.mark.parametrize(
    ("normalization", "how"),
    [
        ("per-pixel-mean", {}),
        ("per-channel", {"batch_size": 3, "input_name": "x"}),
        ("per-pixel-mean", {"with_preprocessing": True, "batch_size": 1}),
    ],
)
def test_of_small_images(
    make_checkpoint: Callable[..., Path], tmp_path: Path, normalization: str, how: dict[str, Any]
) -> None:
    net8 = make_checkpoint("resnet-8", normalization=normalization)
    made = export(net8, "onnx", tmp_path / "net.onnx", check_images=10, **how)
    require_predicted(net8, made.files[1], pictures(tmp_path))


def test_real_photographs(photos4: Callable[..., Path], tmp_path: Path) -> None:
    given = os.environ.get("RESCLI_TEST_PHOTOS")
    if not given:
        pytest.skip("RESCLI_TEST_PHOTOS is not set: the folder of imagenet-sample200 and imagenette224")
    files = sorted(Path(given, "imagenet-sample200").rglob("*.JPEG"))[:12]
    assert files
    checkpoint = photos4("per-channel")
    made = export(checkpoint, "onnx", tmp_path / "net.onnx", check_images=10)
    there = [tmp_path / file.name for file in files]
    for link, file in zip(there, files, strict=True):
        link.symlink_to(file)
    require_predicted(checkpoint, made.files[1], there)


def test_without_a_picture_it_says_how_it_is_used(net8: Path, tmp_path: Path) -> None:
    made = export(net8, "onnx", tmp_path / "net.onnx", check_images=10)
    done = subprocess.run(
        [sys.executable, str(made.files[1])], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 1
    assert "python net.py photo.jpg" in done.stderr
    assert "shorter side 32" in done.stderr


@pytest.mark.parametrize(
    ("file", "program"),
    [
        ("net.onnx", "net.py"),
        ("resnet-20.best.onnx", "resnet-20.best.py"),
        ("numpy.onnx", "classify_numpy.py"),
        ("torch.onnx", "classify_torch.py"),
        ("json.onnx", "classify_json.py"),
    ],
)
def test_a_program_that_would_hide_a_package_has_another_name(file: str, program: str) -> None:
    assert program_path(Path("folder") / file) == Path("folder") / program


def oddities(folder: Path) -> list[Path]:
    """Of every mode and kind that people have, lying on their side by EXIF, by XMP, as TIFF, and slivers."""
    rng = np.random.default_rng(5)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 14, 3), dtype=np.uint8)).resize((280, 180))
    deep = Image.fromarray(rng.integers(0, 65536, (90, 70)).astype(np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>8</tiff:Orientation></x:xmpmeta>'
    found: list[Path] = []

    def put(name: str, image: Image.Image, **options: Any) -> None:
        found.append(folder / name)
        image.save(found[-1], **options)

    put("cmyk.jpg", rgb.convert("CMYK"))
    put("grey and glass.png", rgb.convert("LA"))
    put("palette.png", rgb.quantize(20), transparency=0)
    put("bilevel.png", rgb.convert("1"))
    put("glass.webp", rgb.convert("RGBA"), lossless=True)
    put("animated.gif", rgb, save_all=True, append_images=[rgb.rotate(180)])
    put("deep.tif", deep)
    put("deep.pgm", deep)
    put("lying.jpg", rgb, exif=turned)
    put("lying.png", rgb, exif=turned)
    put("lying deep.png", deep, exif=turned)
    put("lying.tif", rgb, exif=turned)
    put("lying by xmp.jpg", rgb, xmp=xmp)
    put("sliver.png", rgb.resize((1, 1000)))
    put("panorama.jpg", rgb.resize((4000, 16)))
    put("no suffix", rgb, format="JPEG")
    return found


@pytest.mark.parametrize("orientation", ["stored", "upright"])
def test_odd_pictures(photos4: Callable[..., Path], tmp_path: Path, orientation: str) -> None:
    checkpoint = photos4("per-channel", orientation=orientation)
    made = export(checkpoint, "onnx", tmp_path / "net.onnx", check_images=10)
    require_predicted(checkpoint, made.files[1], oddities(tmp_path))


def test_odd_pictures_of_a_net_for_small_images(net8: Path, tmp_path: Path) -> None:
    made = export(net8, "onnx", tmp_path / "net.onnx", check_images=10)
    require_predicted(net8, made.files[1], oddities(tmp_path))


def test_what_is_no_picture_ends_in_one_sentence(
    net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = export(net8, "onnx", tmp_path / "net.onnx", check_images=10).files[1]
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    whole = tmp_path / "whole.jpg"
    Image.new("RGB", (60, 60)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:300])
    for name in ("absent.jpg", "text.jpg", "empty.png", "float.tif", "cut.jpg", "."):
        said = ended(program, str(tmp_path / name), monkeypatch=monkeypatch)
        assert said.startswith(f"{tmp_path / name} cannot be read as a picture: "), said
        assert "\n" not in said
    assert "cannot be read as a picture" in ended(program, "", monkeypatch=monkeypatch)
    with monkeypatch.context() as lacking:
        lacking.setitem(sys.modules, "onnxruntime", None)
        said = ended(program, str(whole), monkeypatch=lacking)
    assert said.endswith("pip install numpy pillow onnxruntime")
    (tmp_path / "net.onnx").unlink()
    assert "net.onnx is not there" in ended(program, str(whole), monkeypatch=monkeypatch)


def ended(program: Path, *names: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program says where it ends with a word and an exit code of 1."""
    monkeypatch.setattr(sys, "argv", [str(program), *names])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(program), run_name="__main__")
    assert isinstance(stop.value.code, str)
    return stop.value.code
