import math

import numpy as np
import pytest
import torch

from rescli.evaluation.metrics import (
    calibration_error,
    confusion_matrix,
    percent,
    result_from_logits,
    wilson_interval,
)


def test_figures_equal_a_slow_count():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(500, 10)).astype(np.float32)
    labels = generator.integers(0, 10, 500)
    result = result_from_logits(torch.from_numpy(logits), torch.from_numpy(labels))
    ranks = [int((row > row[label]).sum()) for row, label in zip(logits, labels, strict=True)]
    losses = [
        math.log(np.exp(row.astype(float) - row[label]).sum())
        for row, label in zip(logits, labels, strict=True)
    ]
    assert result.num_images == 500
    assert result.top1_error == 100 * sum(rank >= 1 for rank in ranks) / 500
    assert result.top5_error == 100 * sum(rank >= 5 for rank in ranks) / 500
    assert result.loss == pytest.approx(np.mean(losses), rel=1e-9)


def test_a_dash_where_there_is_no_error():
    assert [percent(error) for error in (None, 0.0, 7.021)] == ["-", "0.00 %", "7.02 %"]


def test_of_equal_logits_the_first_class_wins():
    tied = torch.zeros(2, 3)
    assert result_from_logits(tied, torch.tensor([0, 2])).top1_error == 50.0


def test_ties_are_ranked_by_one_rule_so_top5_is_never_the_worse():
    tied = torch.zeros(100, 100)
    result = result_from_logits(tied, torch.arange(100))
    assert (result.top1_error, result.top5_error) == (99.0, 95.0)
    coarse = torch.randn(500, 50, generator=torch.Generator().manual_seed(0)).round()
    result = result_from_logits(coarse, coarse.argmax(1))
    assert (result.top1_error, result.top5_error) == (0.0, 0.0)


@pytest.mark.parametrize(("classes", "there"), [(2, False), (3, False), (5, False), (6, True)])
def test_of_five_classes_or_fewer_there_is_no_top5_error(classes, there):
    result = result_from_logits(torch.randn(9, classes), torch.arange(9) % classes)
    assert (result.top5_error is not None) == there


@pytest.mark.parametrize("count", [1, 2, 20, 10_000])
def test_the_interval_at_no_error_and_at_nothing_but_errors(count):
    low, high = wilson_interval(0.0, count)
    assert (low, wilson_interval(100.0, count)[1]) == (pytest.approx(0.0, abs=1e-9), 100.0)
    assert high == pytest.approx(100 - wilson_interval(100.0, count)[0])
    assert high == pytest.approx(100 * 3.8415 / (count + 3.8415), rel=1e-4)


@pytest.mark.parametrize(
    ("error", "count"), [(8.75, 10000), (0.0, 50), (100.0, 50), (50.0, 1), (6.43, 10000)]
)
def test_wilson_interval_ends_where_the_normal_test_just_accepts(error, count):
    # Second formula: the interval's ends solve |p_hat - p| = z sqrt(p (1 - p) / n), by bisection.
    p_hat, z = error / 100, 1.959963984540054

    def accepted(p):
        return abs(p_hat - p) <= z * math.sqrt(p * (1 - p) / count) + 1e-15

    def bisect(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
        return inside

    low, high = wilson_interval(error, count)
    assert low == pytest.approx(100 * bisect(p_hat, 0.0), abs=1e-9)
    assert high == pytest.approx(100 * bisect(p_hat, 1.0), abs=1e-9)


def test_the_confusion_matrix_is_a_count_of_pairs():
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(300, 4)), generator.integers(0, 4, 300)
    expected = np.zeros((4, 4), dtype=int)
    for row, label in zip(scores, labels, strict=True):
        expected[label, row.argmax()] += 1
    counts = confusion_matrix(torch.from_numpy(scores), torch.from_numpy(labels))
    assert np.array_equal(counts.numpy(), expected)


def test_the_calibration_error_equals_a_slow_sum_over_bins():
    generator = np.random.default_rng(0)
    logits = torch.from_numpy(3 * generator.normal(size=(400, 5)))
    labels = torch.from_numpy(generator.integers(0, 5, 400))
    log_probabilities = logits.log_softmax(1)
    confidences = log_probabilities.exp().max(1).values.numpy()
    correct = (logits.argmax(1) == labels).numpy()
    total = 0.0
    for b in range(15):
        inside = (confidences > b / 15) & (confidences <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() / 400 * abs(confidences[inside].mean() - correct[inside].mean())
    assert calibration_error(log_probabilities, labels) == pytest.approx(100 * total, rel=1e-9)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not():
    certain = torch.tensor([[0.0, -1000.0]]).expand(8, 2)
    assert calibration_error(certain, torch.zeros(8, dtype=torch.int64)) == 0
    assert calibration_error(certain, torch.ones(8, dtype=torch.int64)) == 100
