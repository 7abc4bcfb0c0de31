from __future__ import annotations

import json

import pytest
import torch

from rescli.bench.race import Lane, LoopRequest
from rescli.bench.summary import spread, summarize
from rescli.hardware.numerics import Numerics
from rescli.spec.load import load_spec

CPU = Numerics(torch.device("cpu"), "fp32")


def lane(label: str, images_per_second: list[float], **ready: object) -> Lane:
    first = {"first_step_seconds": 3.0, "step_seconds": 0.1, "threads": 2, "engine": None}
    return Lane(
        LoopRequest(label, label.partition("-w")[0]),
        ready={**first, **ready},
        steps=4,
        images=[1000] * len(images_per_second),
        seconds=[1000 / speed for speed in images_per_second],
        peak_memory_bytes=10**9,
    )


def test_ratios_are_of_the_same_round_and_of_the_better_p1() -> None:
    ceilings = {"flops_per_second": 1e12, "bytes_per_second": 1e10}
    own = lane("whole-loop", [100.0, 200.0, 400.0], engine="eager")
    own.measured = {"operations_per_step": 7, "ceilings": ceilings}
    lanes = [
        lane("p1-w0", [10.0, 10.0, 10.0]),
        lane("p1-w2", [50.0, 50.0, 50.0]),
        own,
        lane("loader", [1e4, 1e4, 1e4]),
        Lane(LoopRequest("p3", "p3"), failed="no compiler"),
    ]
    record = summarize(lanes, load_spec("cifar10/resnet-20"), CPU, rounds=3)
    assert set(record["ratios"]) == {"whole-loop / p1-w2", "loader, percent of a step"}
    assert record["ratios"]["whole-loop / p1-w2"] == {
        "median": 4.0, "q1": 3.0, "q3": 6.0, "min": 2.0, "max": 8.0,
    }  # fmt: skip
    assert record["ratios"]["loader, percent of a step"]["median"] == 2.0
    assert record["failed"] == {"p3": "no compiler"}
    assert (record["engine"], record["operations_per_step"]) == ("eager", 7)
    assert record["contenders"]["whole-loop"]["milliseconds_per_step"] == 1000 * 256 / 200
    # 40,551,040 multiply-adds forward, three passes, two operations each.
    by_flops = record["roofline"]["images_per_second_by_flops"]
    assert by_flops == pytest.approx(1e12 / (6 * 40_551_040), rel=1e-3)
    assert record["other_load"] is None
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(("tile", "products"), [(2, 19_333_760), (4, 11_907_712)])
def test_in_fp32_on_a_cpu_the_roofline_is_also_that_of_winograd(tile: int, products: int) -> None:
    own = lane("whole-loop", [100.0, 200.0, 400.0], engine="eager")
    own.measured = {"ceilings": {"flops_per_second": 1e11, "bytes_per_second": 1e14}}
    record = summarize([own], load_spec("cifar10/resnet-20"), CPU, rounds=3, winograd_tile=tile)
    bound = record["roofline"]["winograd"]
    speed = 1e11 / (6 * products)
    assert bound["tile"] == tile
    assert bound["fewer_products"] == pytest.approx(40_551_040 / products, abs=1e-3)
    assert bound["images_per_second_by_flops"] == pytest.approx(speed, abs=0.1)
    assert bound["percent"] == pytest.approx(100 * 200 / speed, abs=0.1)
    assert record["roofline"]["percent"] == pytest.approx(100 * 200 * 6 * 40_551_040 / 1e11, abs=0.1)


def test_memory_bounds_what_winograd_would_make_faster() -> None:
    own = lane("whole-loop", [100.0, 200.0, 400.0], engine="eager")
    own.measured = {"ceilings": {"flops_per_second": 1e11, "bytes_per_second": 1e9}}
    bound = summarize([own], load_spec("cifar10/resnet-20"), CPU, rounds=3)["roofline"]
    assert bound["winograd"]["percent"] == bound["percent"]


def test_in_bf16_there_is_no_roofline_of_winograd() -> None:
    own = lane("whole-loop", [100.0, 200.0], engine="eager")
    own.measured = {"ceilings": {"flops_per_second": 1e12, "bytes_per_second": 1e10}}
    numerics = Numerics(torch.device("cpu"), "bf16")
    record = summarize([own], load_spec("cifar10/resnet-20"), numerics, rounds=2)
    assert record["roofline"]["winograd"] is None


def test_without_the_whole_loop_there_are_no_ratios() -> None:
    record = summarize([lane("p2", [10.0, 20.0])], load_spec("cifar10/resnet-20"), CPU, rounds=2)
    assert (record["ratios"], record["roofline"], record["engine"]) == ({}, None, None)


def test_spread_interpolates_quartiles() -> None:
    assert spread([4, 1, 2, 3, 5], 2) == {"median": 3, "q1": 2, "q3": 4, "min": 1, "max": 5}
