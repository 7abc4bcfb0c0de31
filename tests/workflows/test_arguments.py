"""What the command line's types refuse is refused from Python too, before any work.

No file that is named here exists: had anything been read before, the error would be another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli
from rescli.errors import UnknownNameError, UsageError
from rescli.evaluation.averaging import average_models, average_views
from rescli.evaluation.classes import class_columns
from rescli.workflows.analyze import layer_responses
from rescli.workflows.bench import bench
from rescli.workflows.data.pack import pack
from rescli.workflows.data.verify_data import verify_data
from rescli.workflows.listings.models import show_model

NAMES: list[tuple[Callable[..., object], list[Any], dict[str, str], str]] = [
    (rescli.train, ["quickstart"], {"engine": "graf"}, "graph"),
    (rescli.train, ["quickstart"], {"kernels": "tritn"}, "triton"),
    (rescli.evaluate, ["absent"], {"average": "probs"}, "probabilities"),
    (rescli.evaluate, ["absent"], {"classes": "foo"}, "same"),
    (rescli.evaluate, ["absent"], {"precision": "fp8"}, "fp16"),
    (rescli.evaluate, ["absent"], {"protocol": "tencrop"}, "ten-crop"),
    (rescli.evaluate, ["absent"], {"split": "tset"}, "test"),
    (rescli.evaluate, ["absent"], {"dataset": "cifar"}, "cifar10"),
    (rescli.predict, ["absent", "absent.png"], {"precision": "fp8"}, "fp16"),
    (rescli.predict, ["absent", "absent.png"], {"protocol": "tencrop"}, "ten-crop"),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"precision": "int4"}, "int8"),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"quantization": "statik"}, "static"),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"classes": "foo"}, "same"),
    (bench, ["resnet-8", "shapes"], {"engine": "graf"}, "graph"),
    (bench, ["resnet-8", "shapes"], {"kernels": "tritn"}, "triton"),
    (layer_responses, [["absent"]], {"split": "tset"}, "test"),
    (verify_data, ["shapes"], {"splits": "tset"}, "test"),
]

NUMBERS: list[tuple[Callable[..., object], list[Any], dict[str, Any]]] = [
    (rescli.train, ["quickstart"], {"workers": -1}),
    (rescli.evaluate, ["absent"], {"batch_size": 0}),
    (rescli.evaluate, ["absent"], {"batch_size": -1}),
    (rescli.evaluate, ["absent"], {"batch_size": 2.5}),
    (rescli.predict, ["absent", "absent.png"], {"batch_size": 0}),
    (rescli.predict, ["absent", "absent.png"], {"top": 0}),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"check_images": 0}),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"check_images": -3}),
    (rescli.export, ["absent", "onnx", "net.onnx"], {"calibration_images": 0}),
    (rescli.compare, [["plain-8", "resnet-8"]], {"seeds": 0}),
    (rescli.reproduce, ["table6"], {"seeds": 0}),
    (rescli.compare, [["plain-8", "resnet-8"]], {"threads": 0}),
    (rescli.reproduce, ["table6"], {"threads": 0}),
    (bench, ["resnet-8", "shapes"], {"rounds": 1}),
    (bench, ["resnet-8", "shapes"], {"window_seconds": 0.0}),
    (bench, ["resnet-8", "shapes"], {"window_seconds": float("nan")}),
    (bench, ["resnet-8", "shapes"], {"workers": [0]}),
    (bench, ["resnet-8", "shapes"], {"threads": 0}),
    (layer_responses, [["absent"]], {"batch_size": 0}),
    (pack, ["imagefolder", "packed"], {"short_side": 8}),
    (pack, ["imagefolder", "packed"], {"quality": 101}),
    (show_model, ["resnet-20"], {"image_size": 0}),
    (show_model, ["resnet-20"], {"num_classes": 0}),
]


def _id(case: tuple[Any, ...]) -> str:
    return f"{case[0].__name__}-{'-'.join(f'{key}={value}' for key, value in case[2].items())}"


@pytest.mark.parametrize("case", NAMES, ids=_id)
def test_an_unknown_name_is_refused_with_the_nearest(
    case: tuple[Callable[..., object], list[Any], dict[str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    function, positional, named, expected = case
    with pytest.raises(UnknownNameError, match=expected) as refused:
        function(*positional, **named)
    assert repr(*named.values()) in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", NUMBERS, ids=_id)
def test_a_number_that_cannot_work_is_refused(
    case: tuple[Callable[..., object], list[Any], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    function, positional, named = case
    (name,) = named
    with pytest.raises(UsageError, match=rf"{name} must be (at least|from|a (whole )?number)"):
        function(*positional, **named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [rescli.load, rescli.evaluate, layer_responses])
def test_a_device_that_is_none_is_refused_before_anything_is_read(function: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        function("absent", device="gpu")


def test_no_net_and_no_split_are_no_evaluation() -> None:
    with pytest.raises(UsageError, match="no net"):
        rescli.evaluate([])
    with pytest.raises(UsageError, match="no part"):
        rescli.evaluate("absent", split=[])


def test_the_rooms_below_guess_nothing_either() -> None:
    """What would compute one thing and be labelled another is an error wherever it is asked for."""
    import torch

    with pytest.raises(UnknownNameError, match="probabilities"):
        average_views(torch.zeros(1, 2, 3), "probs")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="probabilities"):
        average_models([torch.zeros(1, 3)], "probs")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="wnids"):
        class_columns(["a"], ["a"], "foo")  # type: ignore[arg-type]
