"""The last layer belongs to its classes, by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rescli.checkpoints.header import warm_start_from
from rescli.checkpoints.warm_start import begin_with
from rescli.errors import CheckpointError


@pytest.fixture
def begun(checkpoint_of: Callable[..., Any]) -> Callable[..., Any]:
    """``begun(theirs, ours)`` -> (head, the new net's state, the checkpoint)."""

    def begin(theirs: tuple[str, ...], ours: tuple[str, ...]) -> Any:
        whole = checkpoint_of("resnet-8")
        classes = len(theirs)
        tensors = {
            name: tensor[:classes] if name.startswith("fc.") else tensor
            for name, tensor in whole.tensors.items()
        }
        checkpoint = replace(whole, tensors=tensors, class_names=theirs)
        model = whole.model.build(num_classes=len(ours), image_size=32, seed=9)
        fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        head = begin_with(model, checkpoint, ours)
        return head, model.state_dict(), checkpoint.tensors, fresh

    return begin


def test_the_same_names_in_the_same_order_keep_it(begun: Callable[..., Any]) -> None:
    head, state, theirs, _ = begun(("cat", "dog", "owl"), ("cat", "dog", "owl"))
    assert (head.fate, head.tensors) == ("kept", ())
    assert all(state[name].equal(theirs[name]) for name in state)


def test_the_same_names_in_another_order_take_their_rows_along(begun: Callable[..., Any]) -> None:
    head, state, theirs, _ = begun(("cat", "dog", "owl"), ("owl", "cat", "dog"))
    assert head.fate == "reordered"
    assert "another order" in head.why
    for name in ("fc.weight", "fc.bias"):
        assert state[name].equal(theirs[name][torch.tensor([2, 0, 1])])
    assert state["conv1.weight"].equal(theirs["conv1.weight"])


@pytest.mark.parametrize(
    "ours", [("ant", "bee", "cow"), ("cat", "dog", "emu"), ("Cat", "dog", "owl"), ("cat", "dog")]
)
def test_other_names_begin_anew_however_many_they_are(
    begun: Callable[..., Any], ours: tuple[str, ...]
) -> None:
    head, state, theirs, fresh = begun(("cat", "dog", "owl"), ours)
    assert (head.fate, head.tensors) == ("new", ("fc.weight", "fc.bias"))
    assert f"{len(ours)} classes ({', '.join(ours)}) in place of 3 others (cat, dog, owl)" in head.why
    for name in state:
        assert state[name].equal(fresh[name] if name.startswith("fc.") else theirs[name])


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (("Cat", "dog", "owl"), "; new: Cat (cat?); gone: cat"),
        (("cat", "dog"), "; gone: owl"),
        (("ant", "cat", "dog", "owl"), "; new: ant"),
        (("ant", "bee", "fox"), "others (cat, dog, owl)"),
    ],
)
def test_names_that_are_new_or_gone_are_said(
    begun: Callable[..., Any], ours: tuple[str, ...], says: str
) -> None:
    head, *_ = begun(("cat", "dog", "owl"), ours)
    assert head.why.endswith(says)


def test_another_network_is_refused_whatever_its_classes(checkpoint_of: Callable[..., Any]) -> None:
    checkpoint = checkpoint_of("resnet-14")
    model = checkpoint_of("resnet-8").model.build(num_classes=10, image_size=32, seed=0)
    with pytest.raises(CheckpointError, match="do not fit this network"):
        begin_with(model, checkpoint, tuple("abcdefghij"))


def test_one_layer_of_another_shape_is_no_head(checkpoint_of: Callable[..., Any]) -> None:
    checkpoint = checkpoint_of("resnet-8")
    names = tuple("abcdefghij")
    stem = {"conv1.weight": checkpoint.tensors["conv1.weight"].repeat(1, 1, 2, 2)}
    checkpoint = replace(checkpoint, tensors={**checkpoint.tensors, **stem}, class_names=names)
    model = checkpoint.model.build(num_classes=10, image_size=32, seed=0)
    with pytest.raises(CheckpointError, match=r"do not fit this network: conv1\.weight differ"):
        begin_with(model, checkpoint, names)


def test_a_model_that_is_none_is_damage_of_the_file(
    checkpoint_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, path = checkpoint_of("resnet-8"), tmp_path / "net.safetensors"
    odd = {**checkpoint.model.model_dump(mode="json"), "family ": "cifar"}
    monkeypatch.setattr(type(checkpoint.model), "model_dump", lambda *_, **__: odd)
    checkpoint.write(path)
    with pytest.raises(CheckpointError, match=rf"{path}: its metadata is damaged: model: .*family "):
        warm_start_from(path)
