"""Fine-tuning: the weights it begins with, the head that is kept or begins anew, and what is said of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import rescli as front_door
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import CheckpointError, SpecError
from rescli.spec.toml import to_toml

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


@pytest.fixture
def small_net(tmp_path: Path, checkpoint_of: Callable[..., Any]) -> Callable[..., Path]:
    """``small_net("resnet-20", size=32)``: a checkpoint for cats and dogs of that many pixels."""

    def make(name: str, *, size: int, orientation: str = "stored", **given: Any) -> Path:
        pets = ImageFolderSpec.model_validate(
            {"image_size": size, "orientation": orientation, "classes": ("cat", "dog")}
            | {"num_train": 8, "num_val": 4, "held_out": False}
        )
        checkpoint = checkpoint_of(name, dataset=pets, normalization="per-channel", **given)
        path = tmp_path / f"{name}-{size}.safetensors"
        checkpoint.write(path)
        return path

    return make


def few(root: Path, preset: str = "imagefolder/finetune") -> list[object]:
    return [preset, "--data-root", root, "--device", "cpu", "--iterations", 2, "--batch-size", 4, "--dry-run"]


def test_photographs_are_seen_as_the_weights_saw_them_where_nothing_says_else(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path]
) -> None:
    net = small_net("resnet-20", size=64, family="cifar", orientation="upright")
    answer = rescli("train", *few(pairs), "--from", net, "--json")
    assert answer.code == 0, answer.err
    dataset = answer.json["spec"]["data"]["dataset"]
    assert (dataset["image_size"], dataset["orientation"]) == (64, "upright")
    assert answer.json["spec"]["data"]["augment"]["shorter_side"] == [73, 137]
    assert not [odd for odd in answer.json.get("oddities", []) if "weights" in odd["text"]]
    from_python = front_door.spec("imagefolder/finetune", start_from=net).data.dataset
    assert (from_python.image_size, from_python.orientation) == (64, "upright")


@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("imagefolder/32", []),
        ("imagefolder/finetune", ["--set", "data.dataset.image_size=32"]),
        ("imagefolder/finetune", ["--set", "data.dataset={kind='imagefolder', image_size=32}"]),
    ],
)
def test_a_size_that_is_given_stays_and_the_difference_is_said(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path], preset: str, more: list[str]
) -> None:
    net = small_net("resnet-20", size=64, family="cifar")
    answer = rescli("train", *few(pairs, preset), "--from", net, *more)
    assert answer.code == 0, answer.err
    assert "image_size = 32" in answer.out
    assert "weights to begin with were trained on images of 64 pixels, and these are of 32" in answer.out
    assert "try: --set data.dataset.image_size=64" in answer.out


def test_a_whole_spec_says_its_size_though_it_is_the_default(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path], tmp_path: Path
) -> None:
    net = small_net("resnet-18", size=64)
    whole = front_door.spec("imagefolder/base").to_dict()
    assert "image_size" not in whole["data"]["dataset"]
    (tmp_path / "whole.toml").write_text(to_toml(whole))
    answer = rescli("train", *few(pairs, str(tmp_path / "whole.toml")), "--from", net, "--json")
    assert "image_size" not in answer.json["spec"]["data"]["dataset"]
    assert "of 64 pixels, and these are of 224" in answer.json["oddities"][0]["text"]


def test_images_of_one_size_are_as_they_are(rescli: Rescli, small_net: Callable[..., Path]) -> None:
    net = small_net("resnet-20", size=64, family="cifar")
    answer = rescli("train", "shapes/base", "--from", net, "--dry-run", "--json")
    texts = [odd["text"] for odd in answer.json["oddities"]]
    assert "of 64 pixels, and these are of 32" in texts[0]
    assert "normalised as the weights to begin with need it, per-channel" in texts[1]
    assert answer.json["oddities"][0]["settings"] == {}


@pytest.mark.parametrize("named", [["--model", "resnet-18"], ["--depth", 14], ["--shortcut", "B"]])
def test_a_net_that_has_no_place_for_the_weights_is_refused_at_once(
    rescli: Rescli, small_net: Callable[..., Path], tmp_path: Path, named: list[object]
) -> None:
    net = small_net("resnet-20", size=32)
    nowhere = few(tmp_path / "nowhere")  # not even the images are looked for
    answer = rescli("train", *nowhere, "--from", net, *named)
    assert (answer.code, answer.out) == (4, "")
    differs = {"--model": "depth 18 in place of 20", "--depth": "depth 14 in", "--shortcut": "shortcut B in"}
    assert differs[str(named[0])] in answer.err
    assert f"--from {net} (without --model, --depth, --shortcut" in answer.err


def test_a_width_of_ones_own_is_refused_in_python_too(small_net: Callable[..., Path]) -> None:
    net = small_net("resnet-20", size=32)
    with pytest.raises(CheckpointError, match="width 32 in place of 16") as refused:
        front_door.spec("imagefolder/finetune", {"model.width": 32}, start_from=net)
    assert f'try: rescli.spec(NAME, start_from="{net}")' in refused.value.__notes__


def test_another_net_into_which_they_fit_is_said(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path]
) -> None:
    net = small_net("resnet-20", size=32)
    answer = rescli("train", *few(pairs), "--from", net, "--model", "plain-20", "--json")
    assert answer.code == 0, answer.err
    assert (
        "of another net, resnet-20, into whose place they fit: kind plain"
        in answer.json["oddities"][0]["text"]
    )


def test_the_net_in_place_of_the_presets_own_is_said(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path], tmp_path: Path
) -> None:
    net = small_net("resnet-8", size=32, width=4)
    flags = [flag for flag in few(pairs, "imagefolder/32") if flag != "--dry-run"]
    answer = rescli("train", *flags, "--from", net, "--out", tmp_path / "run", "--workers", 0)
    assert answer.code == 0, answer.err
    assert "preset imagefolder/32; the network is the checkpoint's, resnet-8\n" in answer.err
    assert (
        "its network: resnet-8 (family cifar, width 4, shortcut A), trained on imagefolder at 32 pixels; "
        "here at 32 pixels\n"
    ) in answer.err


@pytest.fixture
def finished(rescli: Rescli, small_flags: Callable[..., list[object]], pairs: Path, tmp_path: Path) -> Path:
    assert rescli("train", *small_flags(pairs), "--out", tmp_path / "first").code == 0
    return tmp_path / "first"


def test_as_many_iterations_as_there_were_are_no_longer_run(
    rescli: Rescli, finished: Path, tmp_path: Path
) -> None:
    answer = rescli("train", "--resume", finished, "--iterations", 2, "--out", tmp_path / "more")
    assert answer.code == 2
    assert "is a run of 2 iterations already; to go on for longer takes more" in answer.err
    assert not (tmp_path / "more").exists()


def test_longer_at_another_rate_begins_with_the_weights(
    rescli: Rescli, finished: Path, pairs: Path, tmp_path: Path
) -> None:
    other = ["--iterations", 3, "--set", "optimizer.lr=0.001"]
    answer = rescli("train", "--resume", finished, *other, "--out", tmp_path / "more")
    assert answer.code == 2
    assert (
        f"try: rescli train {finished}/spec.toml --from {finished} --data-root {pairs} --out NEW_DIR"
        in answer.err
    )
    anew = [f"{finished}/spec.toml", "--from", finished, "--data-root", pairs, "--out", tmp_path / "more"]
    answer = rescli("train", *anew, *other, "--device", "cpu", "--workers", 0)
    assert answer.code == 0, answer.err
    assert "its last layer is kept: the same 2 classes" in answer.err


def test_milestones_beyond_the_end_are_said(
    rescli: Rescli, pairs: Path, small_net: Callable[..., Path]
) -> None:
    flags = ["imagefolder/finetune", "--data-root", pairs, "--from", small_net("resnet-20", size=32)]
    answer = rescli("train", *flags, "--iterations", 1200, "--dry-run", "--json")
    (odd,) = [odd for odd in answer.json["oddities"] if "learning rate falls" in odd["text"]]
    assert odd["text"] == "the run ends at 1,200 iterations, before the learning rate falls at 1,200, 1,700"
    assert odd["settings"] == {"schedule.milestones": [635, 900]}
    mended = ["--set", "schedule.milestones=[635, 900]", "--dry-run", "--json"]
    answer = rescli("train", *flags, "--iterations", 1200, *mended)
    assert not [odd for odd in answer.json["oddities"] if "learning rate falls" in odd["text"]]
    answer = rescli("train", *flags, "--iterations", 100, "--dry-run", "--json")  # a trial
    assert not [odd for odd in answer.json["oddities"] if "learning rate falls" in odd["text"]]


@pytest.mark.parametrize("form", ["safetensors", "huggingface"])
def test_what_was_exported_is_imported_as_the_hint_says(
    rescli: Rescli, small_net: Callable[..., Path], pairs: Path, tmp_path: Path, form: str
) -> None:
    net, there = small_net("resnet-8", size=32), tmp_path / "exported"
    there.mkdir()
    out = there / "model.safetensors" if form == "safetensors" else there / "folder"
    made = rescli("export", net, "--format", form, "--out", out, "--data-root", pairs, "--check-images", 10)
    assert made.code == 0, made.err
    refused = rescli("train", *few(pairs), "--from", out, "--out", tmp_path / "run")
    assert refused.code == 4, refused.err
    (typed,) = [line for line in refused.err.splitlines() if "try: rescli import" in line]
    words = shlex.split(typed.partition("rescli ")[2].replace("FILE", str(tmp_path / "back")), comments=True)
    answer = rescli(*words)
    assert answer.code == 0, answer.err
    assert "(as the file has it)" in answer.out
    before, back = front_door.load(net), front_door.load(tmp_path / "back.safetensors")
    assert back.class_names == before.class_names
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(back.model(x), before.model(x))
    ours = Checkpoint.read(net).normalization
    assert Checkpoint.read(tmp_path / "back.safetensors").normalization.to_json() == ours.to_json()
    started = rescli("train", *few(pairs), "--from", tmp_path / "back.safetensors", "--out", tmp_path / "run")
    assert started.code == 0, started.err
    other = [*words[:3], "resnet-14", *words[4:-1], tmp_path / "other.safetensors"]
    answer = rescli(*other)
    assert answer.code == 2
    assert "was exported from a resnet-8 on imagefolder" in answer.err
    (flags,) = [line.strip() for line in answer.err.splitlines() if line.startswith("  --model")]
    assert rescli(*other, *flags.split()).code == 0
