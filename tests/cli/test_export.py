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
