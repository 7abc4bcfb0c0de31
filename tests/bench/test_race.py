from __future__ import annotations

import sys
from typing import Any

import pytest

from rescli.bench import race as module
from rescli.bench.other_load import OtherLoadWatch
from rescli.bench.race import LoopRequest, race
from rescli.errors import UsageError

FAKE = """
import json, sys
request = json.loads(sys.stdin.readline())
if request["contender"] == "broken":
    print(json.dumps({"failed": "it needs a compiler"}), flush=True)
    sys.exit()
print(json.dumps({"step_seconds": request["step_seconds"]}), flush=True)
for number, line in enumerate(sys.stdin):
    if "measure" in json.loads(line):
        print(json.dumps({"measured": request["contender"]}), flush=True)
        continue
    if request["contender"] == "dies" and number == 1:
        print("out of memory", file=sys.stderr)
        sys.exit(9)
    steps = json.loads(line)["steps"]
    with open(request["log"], "a") as log:
        log.write(request["contender"] + " ")
    print(json.dumps({"images": 8 * steps, "seconds": 0.5, "peak_memory_bytes": 7}), flush=True)
"""


@pytest.fixture
def log(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Workers that answer by the same protocol and write down who was asked when."""
    script = tmp_path / "worker.py"
    script.write_text(FAKE)
    real = module.subprocess.Popen
    monkeypatch.setattr(
        module.subprocess, "Popen", lambda _command, **options: real([sys.executable, str(script)], **options)
    )
    monkeypatch.setattr(module, "_SETTLE_SECONDS", 0)
    return tmp_path / "log"


def test_each_is_timed_once_a_round_in_turn(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 130.0])  # as the first round begins, and after each but the last
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    told: list[tuple[str, float | None]] = []
    entries = [LoopRequest("one", "a"), LoopRequest("other", "b")]
    request = {"log": str(log), "step_seconds": 0.125}
    lanes = race(entries, request, rounds=3, window_seconds=1.0, progress=lambda *what: told.append(what))
    assert log.read_text() == "a b a b a b "
    assert [lane.steps for lane in lanes] == [8, 8]
    assert lanes[0].images_per_second == [128.0, 128.0, 128.0]
    last = "counts what a step launches"
    assert [what for what, _ in told] == [
        *("starts one", "starts other", "round 1 of 3", "round 2 of 3", "round 3 of 3", last)
    ]
    assert [left for _, left in told] == [None, None, None, 20.0, 15.0, None]
    assert [lane.measured for lane in lanes] == [{"measured": "a"}, {"measured": "b"}]


def test_a_window_has_three_steps_at_least(log: Any) -> None:
    (lane,) = race(
        [LoopRequest("one", "a")], {"log": str(log), "step_seconds": 60.0}, rounds=2, window_seconds=1.0
    )
    assert lane.steps == 3


def test_who_fails_is_named_and_the_others_run(log: Any) -> None:
    entries = [LoopRequest("x", "broken"), LoopRequest("y", "dies"), LoopRequest("z", "a")]
    lanes = race(entries, {"log": str(log), "step_seconds": 1.0}, rounds=3, window_seconds=1.0)
    assert [lane.failed for lane in lanes] == ["it needs a compiler", "out of memory", None]
    assert len(lanes[2].seconds) == 3


def test_where_none_works_there_is_nothing_to_tell(log: Any) -> None:
    with pytest.raises(UsageError, match="no contender works here: it needs a compiler"):
        race(
            [LoopRequest("x", "broken")], {"log": str(log), "step_seconds": 1.0}, rounds=3, window_seconds=1.0
        )


def test_what_else_ran_is_looked_at_before_the_first_window_and_after_each(log: Any) -> None:
    class Watch(OtherLoadWatch):
        def begin(self) -> None:
            seen.append("begin")

        def sample(self) -> None:
            seen.append(log.read_text())

    seen: list[str] = []
    request = {"log": str(log), "step_seconds": 1.0}
    race([LoopRequest("one", "a")], request, rounds=2, window_seconds=1.0, watch=Watch())
    assert seen == ["begin", "a ", "a a "]
