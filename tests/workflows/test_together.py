"""What several processes find out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rescli
from rescli.hardware import ranks
from rescli.workflows.running.together import plan_together
from rescli.workflows.spec import dry_run


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_of_several_looks_at_the_photographs_for_all(
    monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    planned = dry_run("quickstart")
    photos = rescli.spec("imagefolder/32")
    looked: list[int] = []

    class Told:
        def from_first(self, make: Callable[[], Any]) -> Any:
            return make() if rank == 0 else planned.spec

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(ranks, "join_ranks", lambda _device: Told())

    def look() -> Any:
        looked.append(rank)
        return planned

    assert plan_together(look, photos, "cpu").spec == planned.spec
    assert looked == [0][: 1 - rank]
    assert plan_together(look, planned.spec, "cpu") is planned  # nothing is looked at for it
