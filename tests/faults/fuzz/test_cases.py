"""What the fuzzer found, and a short search of a fixed seed: rescli's own error, or none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mutations import mutated
from targets import SEEDS, TARGETS, feed

CASES = sorted((Path(__file__).parent / "cases").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_found_once(case: Path) -> None:
    feed(case.name.partition("-")[0], case.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_whole_file_is_taken(target: str) -> None:
    for seed in SEEDS[target]:
        if target != "pointer":  # which names a file that is not there
            TARGETS[target](seed)
        feed(target, seed)


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_search_finds_nothing(target: str) -> None:
    rng = random.Random(18)
    for _ in range(40):
        feed(target, mutated(target, rng.choice(SEEDS[target]), rng))
