"""Every shipped preset: whole, true to its name, and headed by the command that runs it."""

from __future__ import annotations

import tomllib

import pytest

from rescli import registry
from rescli.plan import make_plan
from rescli.spec.load import find_preset, load_spec, preset_names, preset_text, spec_from_dict
from rescli.spec.toml import to_toml

NAMES = preset_names()
CIFAR_NETS = {
    *(f"resnet-{depth}" for depth in (20, 32, 44, 56, 110, 1202)),
    *(f"plain-{depth}" for depth in (20, 32, 44, 56, 110)),
}
"""The nets of figure 6 and table 6."""


def test_names_are_sorted_and_whole() -> None:
    assert sorted(NAMES) == NAMES
    assert "quickstart" in NAMES
    for folder in ("cifar10", "he2015"):
        own = {name.removeprefix(f"{folder}/") for name in NAMES if name.startswith(f"{folder}/")}
        assert own == {*CIFAR_NETS, "base"}


@pytest.mark.parametrize("dataset", registry.names("datasets"))
def test_every_dataset_has_a_base(dataset: str) -> None:
    assert load_spec(f"{dataset}/base").data.dataset.kind == dataset


@pytest.mark.parametrize("name", NAMES)
def test_validates_and_plans(name: str) -> None:
    spec = load_spec(name)
    if spec.data.dataset.kind == "imagefolder":  # as after a look at the folder
        folder = spec.data.dataset.model_copy(
            update={"num_train": 900, "num_val": 100, "classes": ("a", "b")}
        )
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"dataset": folder})})
    plan = make_plan(spec)
    assert plan.total_steps == spec.iterations
    if spec.schedule.kind == "plateau":
        assert len(plan.lr_changes()) == len(plan.schedule.describe_triggers()) == 1
    else:
        assert all(step < spec.iterations for step in spec.schedule.milestones)  # type: ignore[attr-defined]
        tour = spec.data.dataset.kind == "shapes" and spec.iterations == 800  # drops the rate once
        assert len(plan.lr_changes()) == (2 if tour else 3)
    assert plan.num_evaluations > 1


@pytest.mark.parametrize("name", NAMES)
def test_equals_its_own_round_trip(name: str) -> None:
    spec = load_spec(name)
    again = spec_from_dict(tomllib.loads(to_toml(spec.to_dict())))
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_head_says_what_it_is_and_which_command_runs_it(name: str) -> None:
    lines = preset_text(name).splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    assert len(head[0].removeprefix("# ")) > 10
    assert f"# Command: rescli train {name}" in head


@pytest.mark.parametrize("name", NAMES)
def test_base_is_one_level_at_most(name: str) -> None:
    base = tomllib.loads(preset_text(name)).get("base")
    if name.endswith("/base"):
        assert base is None
    if base is not None:
        assert base in NAMES
        assert "base" not in tomllib.loads(preset_text(base))


@pytest.mark.parametrize("name", [name for name in NAMES if "/" in name and not name.endswith("/base")])
def test_net_and_batch_size_are_those_of_the_name(name: str) -> None:
    folder, net = name.split("/")
    spec = load_spec(name)
    if folder == "imagefolder" and net.isdigit():
        assert spec.data.dataset.image_size == int(net)
    elif net != "finetune":  # the net of a checkpoint
        assert net in (spec.model.name, f"{spec.model.name}-{spec.to_dict()['model'].get('shortcut')}")
    own = {"shapes": "shapes", "imagenet": "imagenet", "imagefolder": "imagefolder"}
    assert spec.data.dataset.kind == own.get(folder, "cifar10")
    sizes = {"cifar10": 256, "he2015": 128, "shapes": 32, "imagenet": 256, "imagefolder": 64}
    assert spec.data.batch_size == sizes[folder]


def test_bases_have_the_batch_size_of_their_folder() -> None:
    assert load_spec("cifar10/base").data.batch_size == 256
    assert load_spec("he2015/base").data.batch_size == 128


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_from_110_layers(name: str) -> None:
    """Section 4.2: 0.01 until the training error is below 80 %, then 0.1."""
    spec = load_spec(name).to_dict()
    if spec["schedule"]["kind"] == "plateau":
        assert spec["data"]["dataset"]["kind"] in ("imagenet", "imagefolder")
    elif spec["model"]["depth"] >= 110:
        assert spec["schedule"]["warmup"] == {"factor": 0.1, "until_train_error": 80.0}
    else:
        assert "warmup" not in spec["schedule"]


@pytest.mark.parametrize("net", sorted(CIFAR_NETS))
def test_cifar10_and_he2015_differ_in_the_batch_alone(net: str) -> None:
    ours, paper = load_spec(f"cifar10/{net}").to_dict(), load_spec(f"he2015/{net}").to_dict()
    assert ours["data"].pop("batch_size") == 2 * paper["data"].pop("batch_size")
    assert ours == paper


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("cifar10/", "he2015/"))])
def test_the_rest_is_section_4_2(name: str) -> None:
    spec = load_spec(name).to_dict()
    recipe = {
        "iterations": 64000,
        "milestones": [32000, 48000],
        "gamma": 0.1,
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 1e-4,
        "val_size": 5000,
        "pad": 4,
        "flip": True,
    }
    flat = {
        "iterations": spec["iterations"],
        **spec["schedule"],
        **spec["optimizer"],
        **spec["data"]["dataset"],
        **spec["data"]["augment"],
    }
    assert {key: flat[key] for key in recipe} == recipe
    assert spec["data"]["normalization"] == "per-pixel-mean"
    assert spec["model"].get("shortcut", "A") == "A"


@pytest.mark.parametrize("name", NAMES)
def test_is_utf8_without_tabs_or_trailing_blanks(name: str) -> None:
    text = find_preset(name).read_bytes().decode("utf-8")
    assert "\t" not in text
    assert text == "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
