"""TrainPlan and the estimate, each number beside the arithmetic that gives it."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from rescli import registry
from rescli.errors import SpecError
from rescli.plan import TrainPlan, estimate, make_plan
from rescli.spec.base import DatasetSpec, ModelSpec
from rescli.spec.load import load_spec, spec_from_dict
from rescli.spec.run import RunSpec


def _spec(**changes: Any) -> RunSpec:
    """250 iterations of 30 on 1000 images: 7.5 epochs."""
    table: dict[str, Any] = {
        "model": {"kind": "resnet", "depth": 8},
        "data": {"dataset": {"kind": "shapes", "num_train": 1000, "num_val": 100}, "batch_size": 30},
        "optimizer": {"kind": "sgd", "lr": 0.4},
        "schedule": {"kind": "multistep", "milestones": [100, 200], "gamma": 0.5},
        "iterations": 250,
        "evaluation": {"every": 80},
        "checkpoint": {"every": 60},
        "metrics": {"every": 50},
    }
    return spec_from_dict({**table, **changes})


def _steps(plan: TrainPlan, when: str) -> list[int]:
    return [step for step in range(plan.total_steps + 1) if getattr(plan, when)(step)]


def test_steps_against_a_table_worked_by_hand() -> None:
    plan = make_plan(_spec())
    assert (plan.total_steps, plan.batch_size, plan.num_train, plan.num_val) == (250, 30, 1000, 100)
    assert _steps(plan, "evaluates") == [80, 160, 240, 250]  # every 80th, and the last
    assert _steps(plan, "saves") == [60, 120, 180, 240, 250]  # every 60th, and the last
    assert _steps(plan, "reads_metrics") == [50, 100, 150, 200, 250]  # 250 is both: once
    assert plan.num_evaluations == 4
    assert plan.to_dict()["saved_states"] == 5


def test_epochs() -> None:
    plan = make_plan(_spec())
    assert plan.epoch(0) == 0
    assert plan.epoch(100) == 3.0  # 100 x 30 / 1000
    assert plan.to_dict()["epochs"] == 7.5  # 250 x 30 / 1000


def test_learning_rate_at_each_change() -> None:
    plan = make_plan(_spec())
    assert plan.lr_changes() == [(0, 0.4), (100, 0.2), (200, 0.1)]
    assert [plan.lr(step, {}) for step in (0, 99, 100, 199, 200, 249)] == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]


def test_learning_rate_while_warming_up() -> None:
    warm = {"kind": "multistep", "milestones": [100, 200], "gamma": 0.5, "warmup": {"factor": 0.25}}
    plan = make_plan(_spec(schedule=warm))
    assert [plan.lr(step, {}) for step in (0, 100)] == [0.1, 0.05]  # a quarter of 0.4, of 0.2
    assert [plan.lr(step, {"warmup_ended": 50}) for step in (50, 100)] == [0.4, 0.2]
    assert plan.lr_changes() == [(0, 0.4), (100, 0.2), (200, 0.1)]  # what nothing triggers
    assert len(plan.to_dict()["triggers"]) == 1


def test_the_papers_recipe() -> None:
    """Section 4.2: 64k iterations of 128 on 45k images, 0.1 divided by ten at 32k and 48k."""
    plan = make_plan(load_spec("he2015/resnet-20"))
    assert [(step, pytest.approx(lr)) for step, lr in plan.lr_changes()] == [
        (0, 0.1),
        (32000, 0.01),
        (48000, 0.001),
    ]
    assert plan.epoch(64000) == pytest.approx(182.04, abs=0.005)  # 64000 x 128 / 45000
    assert plan.num_evaluations == 64


def test_milestones_beyond_the_end_change_nothing() -> None:
    plan = make_plan(_spec(iterations=150))
    assert plan.lr_changes() == [(0, 0.4), (100, 0.2)]
    assert _steps(plan, "evaluates") == [80, 150]
    at_the_end = make_plan(_spec(iterations=200))  # iteration 200 is never begun
    assert at_the_end.lr_changes() == [(0, 0.4), (100, 0.2)]


def test_intervals_longer_than_the_run_mean_the_end() -> None:
    plan = make_plan(_spec(iterations=40))
    for when in ("evaluates", "saves", "reads_metrics"):
        assert _steps(plan, when) == [40]
    assert plan.num_evaluations == 1


def test_without_validation_images_nothing_is_evaluated() -> None:
    data = {"dataset": {"kind": "cifar10", "val_size": 0}, "batch_size": 30}
    plan = make_plan(_spec(data=data))
    assert _steps(plan, "evaluates") == []
    assert plan.num_evaluations == plan.to_dict()["evaluations"] == 0


class _EmptySpec(DatasetSpec):
    kind: Literal["empty"] = "empty"
    image_size = property(lambda _: 32)
    num_classes = property(lambda _: 2)

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": 0, "val": 10, "test": 10}

    def build(self, data_root: Any, splits: Any) -> Any:
        raise AssertionError("a plan reads no image")


def test_an_empty_training_part_is_refused() -> None:
    with registry.override("datasets", "empty", _EmptySpec):
        spec = _spec(data={"dataset": "empty"})
        with pytest.raises(SpecError, match=r"data\.dataset: no images are left to train on"):
            make_plan(spec)


def test_estimate_of_resnet_20() -> None:
    """Parameters, multiply-adds, bytes and seconds, each by a second formula."""
    spec = load_spec("he2015/resnet-20", [("precision", "fp32")])
    forecast = estimate(spec, make_plan(spec), cores=4)
    assert forecast is not None
    assert (forecast.precision, forecast.cores) == ("fp32", 4)
    assert forecast.params == 269_722
    stage_1 = 6 * 16 * 16 * 9 * 32**2
    stage_2 = (16 * 32 + 5 * 32 * 32) * 9 * 16**2
    stage_3 = (32 * 64 + 5 * 64 * 64) * 9 * 8**2
    macs = 3 * 16 * 9 * 32**2 + stage_1 + stage_2 + stage_3 + 64 * 10
    assert forecast.macs == macs == 40_551_040
    # 128 images a step, forward and twice that backward; 64 passes over 5000 val images.
    gmacs = 64_000 * 128 * 3 * macs + 64 * 5000 * macs
    assert forecast.cpu_train_seconds == pytest.approx(gmacs / (25e9 * 4))
    outputs = 7 * 16 * 32**2 + 6 * 32 * 16**2 + 6 * 64 * 8**2  # of the stem and 18 convolutions
    assert forecast.memory_bytes == (
        3 * 4 * 269_722  # weight, gradient, momentum
        + 128 * 2 * 4 * outputs  # each convolution's input and output
        + 50_000 * 3 * 40**2  # uint8 images, padded by 4
    )


def test_estimate_in_bf16_saves_half_the_activations() -> None:
    fp32, bf16 = (_spec(precision=precision) for precision in ("fp32", "bf16"))
    wide, narrow = estimate(fp32, make_plan(fp32), cores=4), estimate(bf16, make_plan(bf16), cores=4)
    assert wide is not None
    assert narrow is not None
    outputs = 3 * 16 * 32**2 + 2 * 32 * 16**2 + 2 * 64 * 8**2
    assert wide.memory_bytes - narrow.memory_bytes == 2 * 2 * 30 * outputs


def test_estimate_with_auto_precision_says_which_it_took() -> None:
    forecast = estimate(_spec(), make_plan(_spec()), cores=4)
    assert forecast is not None
    assert forecast.precision in ("bf16", "fp32")


class _OpaqueSpec(ModelSpec):
    kind: Literal["opaque"] = "opaque"

    def build(self, *, num_classes: int, image_size: int, seed: int) -> Any:
        raise AssertionError("a plan builds no net")


def test_a_model_that_does_not_tell_its_layout_has_no_estimate() -> None:
    with registry.override("models", "opaque", _OpaqueSpec):
        spec = _spec(model="opaque")
        assert estimate(spec, make_plan(spec), cores=4) is None
