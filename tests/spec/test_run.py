"""RunSpec as data: frozen, printable, hashable, and shortened in proportion."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from rescli import registry
from rescli.errors import SpecError
from rescli.spec.base import ModelSpec
from rescli.spec.load import load_spec, preset_names, spec_from_dict
from rescli.spec.run import RunSpec

CHANGES: list[tuple[str, Any]] = [
    ("seed", 1),
    ("iterations", 399),
    ("precision", "fp32"),
    ("model.depth", 14),
    ("model.shortcut", "B"),
    ("model.width", 8),
    ("model.init_fan", "out"),
    ("data.batch_size", 64),
    ("data.dataset", "cifar10"),
    ("data.dataset.data_seed", 1),
    ("data.augment.flip", False),
    ("data.normalization", "per-channel"),
    ("optimizer.lr", 0.10000000000000002),  # one bit more than 0.1
    ("optimizer.nesterov", True),
    ("schedule.milestones", [280, 361]),
    ("schedule.warmup", {}),
    ("evaluation.every", 49),
    ("checkpoint.every", 49),
    ("metrics.every", 9),
    ("scaled_from", 64000),
]


START: list[tuple[str, Any]] = [
    ("model", {"kind": "resnet", "depth": 8}),
    ("iterations", 400),
    ("data.batch_size", 128),
    ("schedule.milestones", [280, 360]),
    ("evaluation.every", 50),
    ("checkpoint.every", 50),
    ("metrics.every", 10),
]


def _spec(*changes: tuple[str, Any]) -> RunSpec:
    return load_spec("shapes/base", [*START, *changes])


def test_frozen_at_every_depth() -> None:
    spec = _spec()
    for section, key in ((spec, "seed"), (spec.data, "batch_size"), (spec.model, "depth")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
    assert isinstance(spec.schedule.milestones, tuple)  # type: ignore[attr-defined]


def test_can_be_a_key_of_a_dict() -> None:
    assert {_spec(): "a"}[_spec()] == "a"


def test_name() -> None:
    assert _spec(("seed", 3)).name == "shapes-resnet-8-seed3"
    assert load_spec("he2015/plain-56").name == "cifar10-plain-56-seed0"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[0])
def test_each_change_changes_the_fingerprint(change: tuple[str, Any]) -> None:
    assert _spec(change) != _spec()
    assert _spec(change).fingerprint() != _spec().fingerprint()


def test_no_two_changes_share_a_fingerprint() -> None:
    specs = [_spec(change) for change in CHANGES]
    assert len({spec.fingerprint() for spec in specs}) == len(specs)


def test_equal_specs_share_their_fingerprint_however_they_were_written() -> None:
    spec = _spec()
    rewritten = dict(reversed(spec.to_dict().items()))
    rewritten["optimizer"] = {**spec.to_dict()["optimizer"], "weight_decay": "0.0001"}
    assert spec_from_dict(rewritten) == spec
    assert spec_from_dict(rewritten).fingerprint() == spec.fingerprint()
    assert len(spec.fingerprint()) == 64
    assert int(spec.fingerprint(), 16) > 0


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[0])
def test_dict_goes_there_and_back(change: tuple[str, Any]) -> None:
    spec = _spec(change)
    assert spec_from_dict(spec.to_dict()) == spec
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_dict_says_everything_that_was_left_to_defaults() -> None:
    table = _spec().to_dict()
    assert table["model"] == {
        "kind": "resnet",
        "depth": 8,
        "family": "cifar",  # images of 32 pixels
        "width": 16,
        "block": {"kind": "basic"},
        "init_fan": "in",
        "shortcut": "A",
        "stride_on": "1x1",
    }
    assert "scaled_from" not in table
    assert "warmup" not in table["schedule"]


# A model that a plugin brings


class _NarrowSpec(ModelSpec):
    kind: Literal["narrow"] = "narrow"
    channels: int = Field(4, ge=1)
    image_size: int | None = None

    @classmethod
    def complete(cls, given: dict[str, Any], *, image_size: int) -> dict[str, Any]:
        return {"image_size": image_size, **given}

    def check(self, *, image_size: int) -> None:
        if self.image_size != image_size:
            raise ValueError(f"made for {self.image_size} pixels, not {image_size}")

    def build(self, *, num_classes: int, image_size: int, seed: int) -> Any:
        raise AssertionError("reading a spec builds nothing")


def test_a_plugins_model_is_a_model_like_any_other() -> None:
    with registry.override("models", "narrow", _NarrowSpec):
        spec = _spec(("model", {"kind": "narrow", "channels": 8}))
        assert spec.model == _NarrowSpec(channels=8, image_size=32)
        assert spec.to_dict()["model"] == {"kind": "narrow", "channels": 8, "image_size": 32}
        assert spec.name == "shapes-narrow-seed0"
        assert spec_from_dict(spec.to_dict()) == spec
        assert _spec(("model", "narrow")).model == _NarrowSpec(image_size=32)
    with pytest.raises(SpecError, match="unknown model 'narrow'"):
        spec_from_dict(spec.to_dict())


def test_a_plugins_model_refuses_in_its_own_words() -> None:
    with registry.override("models", "narrow", _NarrowSpec):
        with pytest.raises(SpecError, match=r"^model: made for 64 pixels, not 32$"):
            _spec(("model", {"kind": "narrow", "image_size": 64}))
        with pytest.raises(SpecError, match=r"model\.chanels: unknown key.*Did you mean model\.channels\?"):
            _spec(("model", {"kind": "narrow", "chanels": 8}))


# A shorter course


def test_scaled_moves_every_point_in_proportion() -> None:
    """A tenth of the paper's course: 64000 -> 6400."""
    short = load_spec("he2015/resnet-110").scaled(6400)
    assert short.iterations == 6400
    assert short.schedule.milestones == (3200, 4800)  # type: ignore[attr-defined]
    assert (short.evaluation.every, short.checkpoint.every) == (100, 100)
    assert short.metrics.every == 50  # a window for the trigger, not a share of the course
    assert short.scaled_from == 64000


def test_scaled_keeps_everything_else() -> None:
    spec = load_spec("he2015/resnet-110")
    short, whole = spec.scaled(6400).to_dict(), spec.to_dict()
    for table in (short, whole):
        for key in ("iterations", "evaluation", "checkpoint", "metrics", "scaled_from"):
            table.pop(key, None)
        del table["schedule"]["milestones"]
    assert short == whole
    assert whole["schedule"]["warmup"] == {"factor": 0.1, "until_train_error": 80.0}


def test_scaled_twice_remembers_the_first() -> None:
    twice = load_spec("he2015/resnet-20").scaled(6400).scaled(640)
    assert twice.scaled_from == 64000
    assert twice.schedule.milestones == (320, 480)  # type: ignore[attr-defined]


def test_a_metrics_window_is_no_longer_than_an_evaluations() -> None:
    short = load_spec("he2015/resnet-20").scaled(640)
    assert (short.evaluation.every, short.metrics.every) == (10, 10)


@pytest.mark.parametrize("iterations", [1, 2, 3, 5, 77, 640])
@pytest.mark.parametrize("name", [name for name in preset_names() if name.endswith(("base", "quickstart"))])
def test_scaled_is_a_spec_that_validates(name: str, iterations: int) -> None:
    short = load_spec(name).scaled(iterations)
    assert spec_from_dict(short.to_dict()) == short
