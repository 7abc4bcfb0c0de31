"""``rescli export`` from argv to files that programs without rescli use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.shapes.images import make_shapes

Rescli = Callable[..., Any]
CHECKOUT = Path(__file__).resolve().parent.parent.parent
FEW = ("--check-images", "10")


def alone(code: str, *arguments: object) -> Any:
    """What a program without rescli prints, as JSON; it runs where no checkout is on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json, sys\n{code}\nassert 'rescli' not in sys.modules",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**environment, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_module_import_is_light() -> None:
    code = (
        "import sys, rescli.cli.export.command;"
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'onnx'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_onnx_file_has_the_checkpoints_error_in_onnxruntime_alone(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "net.onnx"
    answer = rescli("export", net8, "--format", "onnx", "--out", out, "--with-preprocessing", *FEW)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "resnet-8, onnx, fp32, opset 13, IR version 7"
    assert lines[1].startswith("input   images uint8 (batch, 32, 32, 3), red green blue")
    assert "  10 val images of shapes, batches of 1 2 7" in lines
    assert "  top-1 agreement                100.00 %" in lines
    assert "read by onnxruntime from 1.6; OpenCV from 4.5.5, but not 4.8" in lines
    assert f"weights {net8}, iteration 7, last" in lines
    assert sorted(os.listdir(tmp_path)) == ["net.onnx", "net.py"]

    images = make_shapes(seed=0, num_train=400, num_val=60, num_test=100, splits=("test",))["test"]
    np.savez(tmp_path / "test.npz", x=images.images_NHWC.numpy(), y=images.labels_N.numpy())
    found = alone(
        "import numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        "test = np.load(sys.argv[2])\n"
        "batches = np.split(test['x'], [1, 3, 10, 40])\n"
        "logits = np.concatenate([session.run(None, {'images': x})[0] for x in batches])\n"
        "names = json.loads(session.get_modelmeta().custom_metadata_map['class_names'])\n"
        "error = 100 * float((logits.argmax(1) != test['y']).mean())\n"
        "print(json.dumps([error, names, 'torch' in sys.modules]))",
        out,
        tmp_path / "test.npz",
    )
    checkpoint = Checkpoint.read(net8)
    with torch.inference_mode():
        ours = checkpoint.build_model()(checkpoint.normalization.apply(images.images_NHWC))
    error = 100 * float((ours.argmax(1) != images.labels_N).double().mean())
    assert found == [pytest.approx(error), list(checkpoint.class_names), False]


@pytest.mark.parametrize("flags", [[], ["--precision", "fp16", "--with-preprocessing", "--fold-bn"]])
def test_torch_export(rescli: Rescli, net8: Path, tmp_path: Path, flags: list[str]) -> None:
    out = tmp_path / "net.pt2"
    facts = rescli("export", net8, "--format", "torch-export", "--out", out, "--json", *FEW, *flags).json
    assert facts["check"]["top1_agreement"] == 100
    assert facts["check"]["batch_sizes"] == [1, 2, 7]
    assert facts["check"]["runtime"].startswith("torch ")
    shape = [5, 32, 32, 3] if "--with-preprocessing" in flags else [5, 3, 32, 32]
    made = alone(
        "import torch\n"
        "kept = {'rescli.json': ''}\n"
        "net = torch.export.load(sys.argv[1], extra_files=kept).module()\n"
        "logits = net(torch.zeros(*json.loads(sys.argv[2]), dtype=getattr(torch, sys.argv[3])))\n"
        "described = json.loads(kept['rescli.json'])\n"
        "print(json.dumps([list(logits.shape), str(logits.dtype), described['model']]))",
        out,
        json.dumps(shape),
        "uint8" if "--with-preprocessing" in flags else "float32",
    )
    assert made == [[5, 10], "torch.float32", "resnet-8"]


def test_safetensors_with_its_config(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    out = tmp_path / "net" / "weights.safetensors"
    facts = rescli("export", net8, "--format", "safetensors", "--out", out, "--json", *FEW).json
    assert [Path(file).name for file in facts["files"]] == ["weights.safetensors", "config.json"]
    assert facts["check"]["largest_difference"] < 1e-5 * facts["check"]["largest_logit"]
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert config["results"][0]["top1_error"] == 12.5
    answer = rescli("export", net8, "--format", "safetensors", "--out", out.with_name("b.safetensors"))
    assert answer.code == 2
    assert "config.json exists and is not overwritten" in answer.err


def test_int8_by_training_images(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    flags = ("--precision", "int8", "--calibration-images", "40", "--json", *FEW)
    facts = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "net.onnx", *flags).json
    assert facts["quantization"] == "static"
    whole = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "fp32.onnx", "--json", *FEW).json
    assert facts["bytes"] < 0.6 * whole["bytes"]
    operators = alone(
        "import onnx\n"
        "graph = onnx.load(sys.argv[1]).graph\n"
        "print(json.dumps(sorted({node.op_type for node in graph.node})))",
        tmp_path / "net.onnx",
    )
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= set(operators)
    assert sorted(os.listdir(tmp_path)) == ["fp32.onnx", "fp32.py", "net.onnx", "net.py"]


@pytest.mark.parametrize("suffix", [".pth"])
def test_torchvision_takes_the_weights_strictly(
    rescli: Rescli,
    imagenet18: Path,
    tmp_path: Path,
    suffix: str,
) -> None:
    out = tmp_path / f"net{suffix}"
    answer = rescli("export", imagenet18, "--format", "torchvision", "--out", out, *FEW)
    assert answer.code == 0
    assert "10 val images of shapes (a stand-in)" in answer.out
    assert "warning: no real images of imagenet for the check" in answer.err
    names = alone(
        "import torch, torchvision\n"
        "from safetensors.torch import load_file\n"
        "file = sys.argv[1]\n"
        "state = load_file(file) if file.endswith('s') else torch.load(file, weights_only=True)\n"
        "net = torchvision.models.resnet18()\n"
        "print(json.dumps(str(net.load_state_dict(state, strict=True))))",
        out,
    )
    assert names == "<All keys matched successfully>"


def test_a_folder_that_timm_reads_with_its_transform(
    rescli: Rescli,
    imagenet18: Path,
    tmp_path: Path,
) -> None:
    """From the folder alone: network, classes, and the transform that rescli's own evaluation is."""
    pytest.importorskip("timm")
    from PIL import Image

    out = tmp_path / "net"
    facts = rescli("export", imagenet18, "--format", "huggingface", "--out", out, "--json", *FEW).json
    assert facts["facts"] == {"library": "timm"}
    assert sorted(os.listdir(out)) == ["README.md", "config.json", "model.safetensors"]
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (20, 31, 3), dtype=np.uint8)).resize((400, 300))
    picture.save(tmp_path / "picture.png")
    theirs = alone(
        "import timm, torch\n"
        "from PIL import Image\n"
        "net = timm.create_model(f'local-dir:{sys.argv[1]}', pretrained=True).eval()\n"
        "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net))\n"
        "with torch.inference_mode():\n"
        "    logits = net(transform(Image.open(sys.argv[2]))[None])[0]\n"
        "print(json.dumps(logits.tolist()))",
        out,
        tmp_path / "picture.png",
    )
    from rescli.data.image_set import ImageSet
    from rescli.exporters.parity.sample import Sample, normalised

    checkpoint = Checkpoint.read(imagenet18)
    pixels = torch.from_numpy(np.array(picture))[None]
    sample = Sample(ImageSet(pixels, torch.zeros(1, dtype=torch.int64), ("?",), ""), "x", "x", None)
    ((_, inputs),) = normalised(sample, checkpoint, batch_size=1)
    with torch.inference_mode():
        ours = checkpoint.build_model()(inputs)[0]
    torch.testing.assert_close(torch.tensor(theirs), ours, rtol=1e-3, atol=1e-4 * float(ours.abs().max()))


def test_a_folder_for_a_net_that_nobody_else_has(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    out = tmp_path / "net"
    answer = rescli("export", net8, "--format", "huggingface", "--out", out, *FEW)
    assert answer.code == 0, answer.err
    assert sorted(os.listdir(out)) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "standalone_resnet.py",
    ]
    card = (out / "README.md").read_text()
    assert "| shapes val | single | last | 12.50 % | 6.00 to 23.00 | 60 |" in card
    (python,) = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    code = (
        "import torch\n"
        f"sys.path.insert(0, {str(out)!r})\n"
        "images_NHWC = torch.zeros(3, 32, 32, 3, dtype=torch.uint8)\n"
        f"{python.replace('PATH', str(out))}\n"
        "print(json.dumps([list(logits.shape), config['class_names'][0]]))"
    )
    assert alone(code) == [[3, 10], "arrow"]


def test_the_cards_header_is_what_the_hub_reads(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    assert rescli("export", net8, "--format", "huggingface", "--out", tmp_path / "net", *FEW).code == 0
    card = hub.ModelCard.load(tmp_path / "net" / "README.md")
    assert card.data.library_name == "pytorch"
    assert card.data.pipeline_tag == "image-classification"


def test_results_of_eval_go_along(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    evaluated = rescli("eval", net8, "--flip", "--json", "--device", "cpu")
    assert evaluated.code == 0, evaluated.err
    (tmp_path / "eval.json").write_text(evaluated.out)
    flags = ("--format", "torch-export", "--results", tmp_path / "eval.json", "--json", *FEW)
    facts = rescli("export", net8, "--out", tmp_path / "net.pt2", *flags).json
    assert [(row["split"], row["protocol"]) for row in facts["results"]] == [
        ("val", "single"),
        ("test", "flip"),
    ]
    measured = evaluated.json["results"][0]
    assert facts["results"][1]["top1_error"] == measured["top1_error"]

    measured["sha256"] = "0" * 64
    (tmp_path / "eval.json").write_text(json.dumps({"results": [measured]}))
    answer = rescli("export", net8, "--out", tmp_path / "b.pt2", *flags)
    assert answer.code == 2
    assert "holds nothing of this checkpoint" in answer.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--format", "onxx", "--out", "net.onnx"], "Did you mean 'onnx'?"),
        (["--format", "onnx", "--out", "net.pt"], "ends in .onnx"),
        (["--format", "timm", "--out", "net.pth"], "none of 6n+2 layers such as resnet-8"),
        (["--format", "torchvision", "--out", "net.pth"], "torchvision does not have this network"),
        (["--format", "onnx", "--out", "net.onnx", "--precision", "bf16"], "no bf16 convolution on the CPU"),
        (["--format", "torch-export", "--out", "net.pt2", "--precision", "int8"], "--format onnx for int8"),
        (["--format", "safetensors", "--out", "net.safetensors", "--with-preprocessing"], "no computation"),
        (["--format", "onnx", "--out", "net.onnx", "--results", "absent.json"], "rescli eval CKPT --json"),
        (["--format", "onnx", "--out", "net.onnx", "--check-images", "3"], "--check-images"),
    ],
)
def test_what_cannot_work_is_exit_2_before_any_work(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = rescli("export", net8, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert os.listdir(tmp_path) == []


def test_a_package_that_is_missing(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    answer = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert (answer.code, answer.out) == (2, "")
    assert "needs onnxscript to write and to check" in answer.err
    assert f"  pip install -e '{CHECKOUT}[onnx]'\n" in answer.err


def test_nothing_is_overwritten(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.pt2"
    out.write_bytes(b"precious")
    answer = rescli("export", net8, "--format", "torch-export", "--out", out)
    assert answer.code == 2
    assert out.read_bytes() == b"precious"


def test_a_missing_checkpoint_is_exit_4(rescli: Rescli, tmp_path: Path) -> None:
    answer = rescli("export", tmp_path / "absent", "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert answer.code == 4
    assert "no such checkpoint" in answer.err


def test_images_that_were_named_and_are_not_there_are_exit_3(
    rescli: Rescli,
    imagenet18: Path,
    tmp_path: Path,
) -> None:
    flags = ("--format", "torchvision", "--out", tmp_path / "net.pth", "--data-root", tmp_path / "absent")
    answer = rescli("export", imagenet18, *flags)
    assert answer.code == 3
    assert not (tmp_path / "net.pth").exists()


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("onnx", "net.onnx"),
        ("torch-export", "net.pt2"),
        ("safetensors", "n.safetensors"),
        ("huggingface", "n"),
    ],
)
def test_a_full_disk_leaves_nothing(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    format: str,
    name: str,
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        answer = rescli("export", net8, "--format", format, "--out", tmp_path / "new" / "deep" / name, *FEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 4
    assert "File too large; nothing was left there" in answer.err
    assert f"df -h {tmp_path})" in answer.err  # a folder that is there
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(
    rescli: Rescli, net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rescli.exporters.export.tempfile.mkdtemp", denied)
    answer = rescli("export", net8, "--format", "safetensors", "--out", tmp_path / "new" / "n.safetensors")
    assert answer.code == 4
    assert "Permission denied; nothing was left there" in answer.err
    assert "df" not in answer.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("format", "name", "flags", "says"),
    [
        ("onnx", "n.onnx", ["--opset", "12"], "--opset must be from 13 to 20; got 12"),
        ("onnx", "n.onnx", ["--opset", "21"], "--opset must be from 13 to 20; got 21"),
        ("onnx", "n.onnx", ["--batch-size", "0"], "greater than or equal to 1"),
        ("onnx", "n.onnx", ["--input-name", "x", "--output-name", "x"], "need two names"),
        ("onnx", "n.onnx", ["--input-name", ""], "need two names"),
        ("torch-export", "n.pt2", ["--opset", "17"], "--format onnx for an operator set"),
        ("torch-export", "n.pt2", ["--input-name", "x"], "--format onnx for a name of an input"),
        (
            "safetensors",
            "n.safetensors",
            ["--batch-size", "1"],
            "no computation, so no batch size",
        ),
    ],
)
def test_graph_settings_that_cannot_be(
    rescli: Rescli, net8: Path, tmp_path: Path, format: str, name: str, flags: list[str], says: str
) -> None:
    answer = rescli("export", net8, "--format", format, "--out", tmp_path / name, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert os.listdir(tmp_path) == []


def test_the_program_beside_overwrites_nothing(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("precious = True")
    answer = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert answer.code == 2
    assert "net.py exists and is not overwritten" in answer.err
    assert f"--out {tmp_path / 'net' / 'net.onnx'}" in answer.err
    assert os.listdir(tmp_path) == ["net.py"]
    assert (tmp_path / "net.py").read_text() == "precious = True"


def test_a_state_dict_carries_its_class_names(
    rescli: Rescli, checkpoint_of: Callable[..., Any], tmp_path: Path
) -> None:
    """Any script, and names of folders that are no UTF-8."""
    from rescli.data.folders.specs import ImageFolderSpec

    names = ("Katze 🐈", "собака", "caf\udce9")
    checkpoint = checkpoint_of(
        "resnet-18",
        dataset=ImageFolderSpec(classes=names),
        normalization="per-channel",
        shortcut="B",
    )
    checkpoint.write(tmp_path / "net.safetensors")
    out = tmp_path / "out" / "net.safetensors"
    assert (
        rescli("export", tmp_path / "net.safetensors", "--format", "torchvision", "--out", out, *FEW).code
        == 0
    )
    found = alone(
        "from safetensors import safe_open\n"
        "with safe_open(sys.argv[1], 'pt') as file:\n"
        "    print(json.dumps(json.loads(file.metadata()['class_names'])))",
        out,
    )
    assert found == list(names)
