"""The evaluator alone: a net in memory, a data set, and no file anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.errors import CheckpointError, DataError, NoMemoryError
from rescli.evaluation.evaluator import NetEvaluator, TrainedNet


@pytest.fixture
def net(checkpoint_of: Callable[..., Any]) -> Callable[..., TrainedNet]:
    checkpoint = checkpoint_of("resnet-8")

    def make(**changes: Any) -> TrainedNet:
        return TrainedNet(
            **{
                "name": "in memory",
                "sha256": "0" * 64,
                "model_name": "resnet-8",
                "build": checkpoint.build_model,
                "dataset": checkpoint.dataset,
                "normalization": checkpoint.normalization,
                "class_names": checkpoint.class_names,
                "iteration": 7,
                "selection": "last",
                "precision": "fp32",
                "data_sha256": {},
                **changes,
            }
        )

    return make


def test_it_needs_nothing_but_the_net(
    net: Callable[..., TrainedNet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluator = NetEvaluator(split="val", device="cpu")
    result = evaluator.measure(evaluator.prepare(net()))
    row = result.row
    assert (row["checkpoint"], row["split"], row["num_images"]) == ("in memory", "val", 60)
    assert (row["protocol"], row["average"], row["cached"]) == ("single", None, False)
    wrong = int((result.log_probabilities_NK.argmax(1) != result.labels_N).sum())
    assert row["top1_error"] == pytest.approx(100 * wrong / 60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [(None, "test"), ("train", "train"), (("val", "all"), "val"), (("all", "val"), "val")],
)
def test_of_several_splits_the_first_that_the_set_has(
    net: Callable[..., TrainedNet], asked: Any, found: str
) -> None:
    assert NetEvaluator(split=asked, device="cpu").prepare(net()).split == found


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"class_names": ("cat", "dog")}, CheckpointError, "in memory: the checkpoint knows 2 classes"),
        ({"data_sha256": {"val": "another"}}, DataError, "their fingerprints differ"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_net_is_built(
    net: Callable[..., TrainedNet], change: dict[str, Any], error: type[Exception], says: str
) -> None:
    def build() -> None:
        raise AssertionError("built")

    with pytest.raises(error, match=says):
        NetEvaluator(split="val", device="cpu").prepare(net(build=build, **change))


def test_too_little_memory_says_what_to_do(
    net: Callable[..., TrainedNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    import rescli.evaluation.logits.inference as inference

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(inference, "predict_views", full)
    evaluator = NetEvaluator(split="val", device="cpu", batch_size=400)
    with pytest.raises(NoMemoryError, match="no memory for these batches") as caught:
        evaluator.measure(evaluator.prepare(net()))
    assert [(one.setting, one.value) for one in caught.value.remedies] == [("batch_size", 100)]
