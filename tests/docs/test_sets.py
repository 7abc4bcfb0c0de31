"""The commands that train on sets as they are distributed, each on a small one of the same shape."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed_sets import SETS

SMALL = "--device cpu --batch-size 4 --iterations 2 --workers 0 --set model.width=4 --set metrics.every=1"


def _commands(blocks: list[Any]) -> dict[str, str]:
    found = {}
    for block in blocks:
        for line in block.code.splitlines() if block.language == "sh" else ():
            words = shlex.split(line, comments=True)
            if "--data-root" in words and words[words.index("--data-root") + 1] in SETS:
                found.setdefault(words[words.index("--data-root") + 1], shlex.join(words))
    return found


def test_every_set_has_its_command(blocks_of: Callable[[str], list[Any]]) -> None:
    assert {*_commands(blocks_of("docs/data.md"))} == {*SETS}


@pytest.mark.parametrize("root", SETS)
def test_it_trains(
    root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rescli: Callable[..., Any],
    blocks_of: Callable[[str], list[Any]],
) -> None:
    build, num_classes, num_val, said = SETS[root]
    monkeypatch.chdir(tmp_path)
    Path(root).mkdir(parents=True)
    build(Path(root))
    command = shlex.split(_commands(blocks_of("docs/data.md"))[root])[1:]
    size = [] if "imagefolder/64" in command else ["--set", "data.dataset.image_size=64"]
    answer = rescli(*command, *size, *SMALL.split(), "--out", "run", "--json")
    assert answer.code == 0, answer.err
    assert said in answer.err
    assert answer.json["results"]["val"]["num_images"] == num_val
    # As the run's last line has it: the images are where the run had them.
    evaluated = rescli("eval", "run", "--split", "val", "--json")
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["results"][0]["num_classes"] == num_classes
