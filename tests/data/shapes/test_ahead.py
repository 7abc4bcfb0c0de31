"""Painting in another process: the same images, whatever becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from rescli.data.image_set import ImageSet
from rescli.data.shapes import ahead as painting
from rescli.data.shapes.ahead import begin_painting, painted_ahead
from rescli.data.shapes.images import make_shapes

if sys.platform == "win32":
    pytest.skip("it is painted by this process alone", allow_module_level=True)

SEED, SIZES = 7, (("train", 900), ("val", 70))
BLOCKS = 30


def painted() -> dict[str, ImageSet]:
    return make_shapes(seed=SEED, num_train=900, num_val=70, num_test=1, splits=("train", "val"))


def fingerprints() -> dict[str, str]:
    return {split: images.fingerprint for split, images in painted().items()}


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    return fingerprints()


def wait_for(ahead: painting.Ahead, blocks: int) -> None:
    for _ in range(1000):
        if ahead.num_done() >= blocks:
            return
        time.sleep(0.01)
    raise AssertionError("the other process paints nothing")


@pytest.mark.parametrize("blocks", [0, 1, BLOCKS])
def test_the_same_images_however_much_is_done(blocks: int, alone: dict[str, str]) -> None:
    begin_painting(SEED, SIZES)
    wait_for(painting._begun[SEED, SIZES], blocks)
    assert fingerprints() == alone
    assert not painting._begun


def test_what_the_other_process_did_is_used(monkeypatch: pytest.MonkeyPatch, alone: dict[str, str]) -> None:
    begin_painting(SEED, SIZES)
    wait_for(painting._begun[SEED, SIZES], BLOCKS)
    monkeypatch.setattr("rescli.data.shapes.blocks.Block.paint", None)  # nothing is left to be called
    assert fingerprints() == alone


def test_lost_on_the_way(alone: dict[str, str]) -> None:
    begin_painting(SEED, SIZES)
    ahead = painting._begun[SEED, SIZES]
    wait_for(ahead, 1)
    ahead._process.kill()
    assert fingerprints() == alone


def test_without_another_process(monkeypatch: pytest.MonkeyPatch, alone: dict[str, str]) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    begin_painting(SEED, SIZES)
    assert painted_ahead(SEED, SIZES) is None
    assert fingerprints() == alone


def test_other_images_are_not_taken_for_them() -> None:
    begin_painting(SEED, SIZES)
    assert painted_ahead(SEED + 1, SIZES) is None
    assert painted_ahead(SEED, SIZES[:1]) is None
    ahead = painted_ahead(SEED, SIZES)
    assert ahead is not None
    ahead.stop()
    assert ahead._process.returncode is not None


def test_nobody_paints_on_when_the_command_has_ended() -> None:
    code = "from rescli.data.shapes import ahead; ahead.begin_painting(1, (('train', 20_000),))\n"
    code += "print(next(iter(ahead._begun.values()))._process.pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
