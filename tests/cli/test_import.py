"""``rescli import`` from argv to a checkpoint that ``rescli eval`` takes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rescli import registry
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.cifar.classes import CIFAR10_CLASSES
from rescli.data.shapes.images import make_shapes
from rescli.importers.pycls import PyclsImporter
from rescli.models.specs import model_spec

Rescli = Callable[..., Any]


def state_of(name: str = "resnet-8", *, num_classes: int = 10, **given: str) -> dict[str, torch.Tensor]:
    return dict(
        model_spec(name, image_size=32, **given)
        .build(num_classes=num_classes, image_size=32, seed=3)
        .state_dict()
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save({"state_dict": {f"module.{k}": v for k, v in state_of().items()}}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


@pytest.fixture
def flags(tmp_path: Path) -> list[object]:
    return ["--model", "resnet-8", "--dataset", "cifar10", "--out", tmp_path / "net.safetensors"]


def test_module_import_is_light() -> None:
    code = (
        "import sys, rescli.cli.import_weights;"
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'matplotlib'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_become_a_checkpoint(rescli: Rescli, weights: Path, flags: list[object]) -> None:
    answer = rescli("import", weights, *flags)
    assert (answer.code, answer.err) == (0, "")
    out = flags[-1]
    assert answer.out.splitlines() == [
        "resnet-8, shortcut A, 10 classes of cifar10",
        "params         75,290",
        "layout         torchvision",
        "normalization  imagenet: mean 0.485 0.456 0.406, std 0.229 0.224 0.225",
        "               (assumed of torchvision weights; --normalization names another)",
        f"checkpoint     {out}",
        f"test error:    rescli eval {out}",
    ]
    checkpoint = Checkpoint.read(Path(str(out)))
    assert all(checkpoint.tensors[name].equal(tensor) for name, tensor in state_of().items())
    assert checkpoint.class_names == CIFAR10_CLASSES
    assert checkpoint.selection == "imported"
    assert checkpoint.data["imported_from"]["file"] == "net.pth"


@pytest.fixture
def pycls_file(tmp_path: Path) -> Path:
    """A checkpoint with the keys that pycls writes."""
    state = {PyclsImporter().their_name(k): v for k, v in state_of(shortcut="B").items()}
    averaged = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    content = {"epoch": 199, "test_err": 6.3, "ema_err": 6.2, "model_state": state, "ema_state": averaged}
    torch.save({**content, "optimizer_state": {"state": {}}, "cfg": "BN: {}\n"}, tmp_path / "model.pyth")
    return tmp_path / "model.pyth"


def test_a_checkpoint_of_pycls(rescli: Rescli, pycls_file: Path, flags: list[object]) -> None:
    answer = rescli("import", pycls_file, *flags, "--shortcut", "B")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:-2] == [
        "resnet-8, shortcut B, 10 classes of cifar10",
        "params         78,042",
        "weights        model_state (also there: ema_state; --weights ema_state takes another)",
        "layout         pycls",
        "normalization  cifar10-channels-255: mean 0.4914 0.4824 0.4467, std 0.2471 0.2435 0.2616",
        "               (assumed of pycls weights; --normalization names another)",
    ]
    checkpoint = Checkpoint.read(Path(str(flags[-1])))
    assert all(checkpoint.tensors[name].equal(tensor) for name, tensor in state_of(shortcut="B").items())


def test_its_shortcut_is_to_be_said(rescli: Rescli, pycls_file: Path, flags: list[object]) -> None:
    answer = rescli("import", pycls_file, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert "has residual nets with shortcut B, and no resnet-8 with shortcut A as given." in answer.err
    assert "try --shortcut B" in answer.err
    assert not Path(str(flags[-1])).exists()


def test_json_is_one_object(rescli: Rescli, weights: Path, flags: list[object]) -> None:
    answer = rescli("import", weights, *flags, "--normalization", "cifar10-channels", "--json")
    assert answer.json == {
        "checkpoint": str(flags[-1]),
        "model": "resnet-8",
        "shortcut": "A",
        "dataset": "cifar10",
        "num_classes": 10,
        "params": 75_290,
        "layout": "torchvision",
        "normalization": "cifar10-channels",
        "normalization_assumed": False,
        "imported_from": {
            "file": "net.pth",
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        },
        "weights": None,
        "other_weights": [],
        "prefix": "module.",
        "head": None,
        "zero_bias": False,
        "left_out": [],
        "stored_in": ["float32"],
        "classes_from": "dataset",
        "eval_command": f"rescli eval {flags[-1]}",
    }


def test_eval_gives_the_error_of_a_plain_loop_over_the_weights(
    rescli: Rescli, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "some where" / "net.safetensors"
    answer = rescli("import", weights, "--model", "resnet-8", "--dataset", "shapes", "--out", out, "--json")
    assert answer.json["eval_command"] == f"rescli eval '{out}'"
    (result,) = rescli("eval", out, "--device", "cpu", "--precision", "fp32", "--json").json["results"]
    model = model_spec("resnet-8").build(num_classes=10, image_size=32, seed=3).eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = make_shapes(seed=0, num_train=10_000, num_val=1000, num_test=2000, splits=("test",))["test"]
    x = ((images.images_NHWC / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        wrong = sum(
            int((model(xs).argmax(1) != ys).sum())
            for xs, ys in zip(x.split(500), images.labels_N.split(500), strict=True)
        )
    assert result["top1_error"] == pytest.approx(100 * wrong / 2000)
    assert (result["selection"], result["iteration"]) == ("imported", 0)


def test_an_existing_file_is_never_overwritten(rescli: Rescli, weights: Path, flags: list[object]) -> None:
    out = Path(str(flags[-1]))
    out.write_bytes(b"precious")
    answer = rescli("import", weights, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert f"--out {out} exists and is not overwritten" in answer.err
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--model", "resnet-9"], "9 is not 6n+2"),
        (["--model", "resnat-8"], "Did you mean 'resnet-8'?"),
        (["--dataset", "cifar11"], "unknown dataset 'cifar11'"),
        (["--layout", "akamster"], "Did you mean 'akamaster'?"),
        (["--normalization", "imagnet"], "Did you mean 'imagenet'?"),
        (["--shortcut", "D"], "'D' is not one of"),
        (["--out", "net.pth"], "a checkpoint is a .safetensors file"),
        (["--model", "plain-8", "--shortcut", "A"], "unknown key"),
    ],
)
def test_bad_flags_are_exit_2_before_the_file_is_read(
    rescli: Rescli, tmp_path: Path, flags: list[object], change: list[str], says: str
) -> None:
    answer = rescli("import", tmp_path / "absent.pth", *flags, *change)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


def test_bottlenecks_need_their_stride_said(rescli: Rescli, tmp_path: Path, flags: list[object]) -> None:
    def bottlenecks(name: str, **given: Any) -> Any:
        return model_spec(name, block="bottleneck", **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rescli.importers.asked.model_spec", bottlenecks)
        deeper = [*flags, "--model", "resnet-29"]
        answer = rescli("import", tmp_path / "absent.pth", *deeper)
        assert answer.code == 2
        assert "the weights do not show where their stride is" in answer.err
        assert "--stride-on 3x3 for torchvision's" in answer.err
        assert rescli("import", tmp_path / "absent.pth", *deeper, "--stride-on", "3x3").code == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (torch.nn.Linear(1, 1), "torch.save(model.state_dict(), 'weights.pth')"),
        (state_of("resnet-14"), "these look like resnet-14: try --model resnet-14"),
        (state_of(num_classes=100), "fc.bias (100, expected 10)"),
        ({**state_of(), "fc.bias": torch.full((10,), float("nan"))}, "not finite: fc.bias."),
        ({"epoch": 3}, "holds no tensors"),
        ({"a": torch.zeros(1)}, "in no layout that is known here"),
    ],
    ids=["whole module", "another depth", "other classes", "nan", "no tensors", "no layout"],
)
def test_unfit_weights_are_exit_4_and_leave_no_file(
    rescli: Rescli, weights: Path, flags: list[object], content: Any, says: str
) -> None:
    torch.save(content, weights)
    answer = rescli("import", weights, *flags)
    assert (answer.code, answer.out) == (4, "")
    assert says in answer.err
    assert answer.err.count("\n") <= 2  # the message, and what to do
    assert os.listdir(weights.parent) == [weights.name]


def test_a_missing_file_is_exit_4(rescli: Rescli, tmp_path: Path, flags: list[object]) -> None:
    answer = rescli("import", tmp_path / "absent.pth", *flags)
    assert (answer.code, answer.out) == (4, "")
    assert f"no such file: {tmp_path / 'absent.pth'}" in answer.err


def test_our_own_checkpoint_is_sent_to_eval(rescli: Rescli, weights: Path, flags: list[object]) -> None:
    assert rescli("import", weights, *flags).code == 0
    again = weights.parent / "again.safetensors"
    answer = rescli("import", flags[-1], *flags[:-1], again)
    assert answer.code == 2
    assert f"try: rescli eval {flags[-1]}" in answer.err


def test_a_named_layout_is_taken_at_its_word(rescli: Rescli, weights: Path, flags: list[object]) -> None:
    answer = rescli("import", weights, *flags, "--layout", "akamaster")
    assert answer.code == 4
    assert "2 missing: linear.bias, linear.weight; 2 extra: fc.bias, fc.weight." in answer.err


def test_a_plugin_that_cannot_be_loaded_is_a_line_of_warning(
    rescli: Rescli, weights: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    point = EntryPoint("broken", "no_such_package:Importer", "rescli.importers")
    monkeypatch.setitem(registry._table("importers"), "broken", [point])
    answer = rescli("import", weights, *flags)
    assert answer.code == 0
    assert answer.err.startswith("warning: importer 'broken'")
    assert answer.err.count("\n") == 1
