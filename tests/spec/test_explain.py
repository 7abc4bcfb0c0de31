"""A refused value, in rescli's words and none of pydantic's."""

from __future__ import annotations

import pytest

from rescli.errors import SpecError
from rescli.models.specs import model_spec
from rescli.spec.load import load_spec, parse_override


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("precision=foo", "precision: must be one of auto, fp32, bf16, fp16 (given: 'foo')"),
        ("precision=FP16", "(given: 'FP16'). Did you mean 'fp16'?"),
        ("precision=['fp32']", "precision: must be one of auto, fp32, bf16, fp16 (given: ['fp32'])"),
        ("model.shortcut=X", "model.shortcut: must be one of A, B, C (given: 'X')"),
        ("data.normalization=per-pixel", "(given: 'per-pixel'). Did you mean 'per-pixel-mean'?"),
        ("model.depth=abc", "model.depth: must be a whole number (given: 'abc')"),
        ("data.batch_size=1.5", "data.batch_size: must be a whole number (given: 1.5)"),
        ("data.batch_size=[1, 2]", "data.batch_size: must be a whole number (given: [1, 2])"),
        ("model.depth=-3", "model.depth: must be above 0 (given: -3)"),
        ("data.batch_size=0", "data.batch_size: must be at least 1 (given: 0)"),
        ("optimizer.momentum=1.5", "optimizer.momentum: must be below 1 (given: 1.5)"),
        ("schedule.warmup.factor=2", "schedule.warmup.factor: must be at most 1 (given: 2)"),
        ("optimizer.lr=fast", "optimizer.lr: must be a number (given: 'fast')"),
        ("optimizer.lr=inf", "optimizer.lr: must be a finite number (given: inf)"),
        ("optimizer.nesterov=maybe", "optimizer.nesterov: must be true or false (given: 'maybe')"),
        ("schedule.milestones=3", "schedule.milestones: must be a list, such as [1, 2] (given: 3)"),
        ("schedule.milestones=['a']", "schedule.milestones[0]: must be a whole number (given: 'a')"),
        ("data=4", "data: must be a section of keys (given: 4)"),
        ("model=3", "model: needs a kind, one of plain, resnet (given: 3)"),
        ("data.dataset=[1]", "data.dataset: needs a kind, one of cifar10, "),
        ("model.block=foo", "model.block: unknown block 'foo'; known: basic, bottleneck."),
        (
            "data.dataset.kind=shapess",
            "known: cifar10, cifar100, imagefolder, imagenet, shapes. Did you mean",
        ),
        ("schedule.name=x", "schedule.name: unknown key; allowed here: gamma, kind, milestones, warmup."),
        ("schedule.milestones=[5, 3]", "milestones must be positive and ascending (given: [5, 3])"),
        ("data.augment.shorter_side=[1]", "data.augment.shorter_side[1]: is required."),
        ("data.augment.shorter_side=[1, 2, 3]", "data.augment.shorter_side: must have at most 2 items"),
    ],
)
def test_what_is_allowed_and_what_was_given(pair: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec("quickstart", [parse_override(pair)])
    said = str(caught.value)
    assert says in said
    assert not any(word in said for word in ("Input should", "Value error", "valid", "Tuple"))


def test_a_model_by_its_name_speaks_alike() -> None:
    with pytest.raises(SpecError) as caught:
        model_spec("resnet-20", shortcut="X", width=0)
    assert str(caught.value) == (
        "resnet-20: width: must be at least 1 (given: 0); shortcut: must be one of A, B, C (given: 'X')"
    )
