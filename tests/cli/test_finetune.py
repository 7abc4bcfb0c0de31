"""Fine-tuning: the weights it begins with, the head that is kept or begins anew, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli as front_door
from rescli.errors import SpecError

Rescli = Callable[..., Any]


@pytest.fixture
def own_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('base = "imagefolder/base"\nneeds_start_from = true\niterations = 7\n')
    return path


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"], ["--set", "optimizer.lr=0.01"]])
def test_the_recipe_without_weights_is_refused_before_any_work(
    rescli: Rescli, tmp_path: Path, more: list[str]
) -> None:
    nowhere = tmp_path / "nowhere"  # not even the images are looked for
    answer = rescli("train", "imagefolder/finetune", "--data-root", nowhere, "--out", tmp_path / "r", *more)
    assert (answer.code, answer.out) == (2, "")
    assert "begins with the weights of a checkpoint" in answer.err
    assert "\n  --from CKPT\n" in answer.err
    assert not (tmp_path / "r").exists()


def test_a_recipe_of_ones_own_upon_it_and_a_comparison_are_refused_too(
    rescli: Rescli, own_recipe: Path, tmp_path: Path
) -> None:
    answer = rescli("train", own_recipe, "--data-root", tmp_path)
    assert answer.code == 2
    assert "--from CKPT" in answer.err
    answer = rescli("compare", "imagefolder/finetune", "imagefolder/base", "--data-root", tmp_path)
    assert answer.code == 2
    assert "rescli train imagefolder/finetune --from CKPT" in answer.err


def test_from_python_it_is_refused_with_the_argument(own_recipe: Path, tmp_path: Path) -> None:
    for name in ("imagefolder/finetune", own_recipe):
        with pytest.raises(SpecError, match="recipe for fine-tuning") as refused:
            front_door.spec(name)
        assert [one.setting for one in refused.value.remedies] == ["start_from"]
        assert f'try: rescli.spec("{name}", start_from="CKPT")' in refused.value.__notes__
    with pytest.raises(SpecError) as refused:
        front_door.train("imagefolder/finetune", out=tmp_path / "r", data_root=tmp_path)
    assert 'try: rescli.spec("imagefolder/finetune", start_from="CKPT")' in refused.value.__notes__


def test_it_is_still_listed_and_shown_and_begins_with_weights(
    rescli: Rescli, own_recipe: Path, imagenet18: Path
) -> None:
    assert rescli("presets", "show", "imagefolder/finetune").code == 0
    spec = front_door.spec(own_recipe, start_from=imagenet18)
    assert spec.iterations == 7
    assert spec.start_from is not None
    assert "needs_start_from" not in json.dumps(spec.to_dict())


@pytest.mark.parametrize(
    ("names", "says", "fate"),
    [
        (("cat", "dog"), "its last layer is kept: the same 2 classes in the same order", "kept"),
        (("ant", "bee"), "its last layer begins anew: 2 classes (ant, bee) in place of 2 others", "new"),
    ],
)
def test_what_became_of_the_head_is_said_and_stands_in_the_record(
    rescli: Rescli,
    pairs: Path,
    write_noise: Callable[..., None],
    small_flags: Callable[..., list[object]],
    tmp_path: Path,
    names: tuple[str, str],
    says: str,
    fate: str,
) -> None:
    first = tmp_path / "first"
    assert rescli("train", *small_flags(pairs), "--out", first).code == 0
    for name in names:
        write_noise(tmp_path / "own" / name, 4, seed=7)
    recipe = small_flags(tmp_path / "own", "imagefolder/finetune")
    answer = rescli("train", *recipe, "--from", first, "--out", tmp_path / "second", "--json")
    assert answer.code == 0, answer.err
    checkpoint = first / "checkpoints" / "last.safetensors"
    assert f"begins with the weights of {checkpoint}: {says}" in answer.err
    start = answer.json["start_from"]
    assert (start["head"], start["checkpoint"]) == (fate, str(checkpoint))
    assert rescli("show", tmp_path / "second").code == 0
