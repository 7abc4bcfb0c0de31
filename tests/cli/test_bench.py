from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

SMALL = [
    *("resnet-8", "--dataset", "shapes", "--batch-size", "8", "--rounds", "2", "--window", "0.01"),
    *("--device", "cpu", "--threads", "1"),
    *("--set", "data.dataset.num_train=64", "--set", "data.dataset.num_val=10", "--set", "model.width=2"),
]


def test_times_each_contender_in_a_process_of_its_own(rescli: Callable[..., Any]) -> None:
    wanted = [part for name in ("p1", "whole-loop", "loader") for part in ("--contender", name)]
    answer = rescli("bench", *SMALL, *wanted, "--workers", 1, "--json")
    assert answer.code == 0
    record = answer.json
    assert list(record["contenders"]) == ["p1-w0", "p1-w1", "whole-loop", "loader"]
    assert record["failed"] == {}
    for row in record["contenders"].values():
        assert 0 < row["images_per_second"]["min"] <= row["images_per_second"]["median"]
        assert row["first_step_seconds"] > 0
        assert row["peak_memory_bytes"] > 10**8
    assert (record["engine"], record["threads"], record["batch_size"]) == ("eager", 1, 8)
    assert record["operations_per_step"] > 70
    assert 0 < record["roofline"]["percent"] < 200
    assert record["other_load"]["cores"] >= 1
    assert 0 <= record["other_load"]["others_percent"] <= 100
    assert re.search(r"^round 1 of 2$", answer.err, re.M)
    assert re.search(r"^round 2 of 2, about \d+\.\d s more$", answer.err, re.M)


def test_prints_a_table_with_ratios(rescli: Callable[..., Any]) -> None:
    answer = rescli("bench", *SMALL, "--contender", "whole-loop", "--contender", "bare-step")
    assert answer.code == 0
    assert "median [quartiles] of 2 interleaved rounds" in answer.out
    assert "whole-loop / bare-step: " in answer.out
    assert "operations a step when eager" in answer.out
    assert re.search(
        r"^beside it: others used \d+ % of \d+ cores?( \(.+ cores\))?; \d+ % stolen by the host$",
        answer.out,
        re.M,
    )


def test_in_fp32_the_roofline_is_given_with_and_without_winograd(rescli: Callable[..., Any]) -> None:
    answer = rescli("bench", *SMALL, "--contender", "whole-loop", "--precision", "fp32")
    assert answer.code == 0
    assert re.search(r"^[\d.]+ % of the roofline: ", answer.out, re.M)
    assert re.search(
        r"^[\d.]+ % of that with Winograd's F\(4x4, 3x3\) in every 3x3 convolution", answer.out, re.M
    )


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--contender", "p5"], "no contender 'p5' on shapes; there are: p1, p2, p3, p4, bare-step"),
        (["--contender", "timm"], "no contender 'timm' on shapes"),
        (["--engine", "graph"], "--engine graph does not work here: CUDA graphs need a CUDA device"),
        (["--kernels", "triton"], "--kernels triton does not work here"),
        (["--device", "cuda"], "'cuda' is not available here"),
        (["--set", "optimizer.lrr=1"], "lrr"),
        (["--set", "model.width=2020-01-01"], "must be a whole number"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    rescli: Callable[..., Any], flags: list[str], told: str
) -> None:
    answer = rescli("bench", *SMALL, *flags)
    assert answer.code == 2
    assert told in answer.err


def test_missing_data_are_told_once_and_as_such(rescli: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    answer = rescli("bench", "resnet-20", "--dataset", "cifar10", "--data-root", tmp_path)
    assert answer.code == 3
    assert "starts" not in answer.err
