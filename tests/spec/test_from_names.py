"""Which preset answers to which flags, and what is laid over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from rescli import registry
from rescli.data.specs import ShapesSpec
from rescli.errors import SpecError, UnknownNameError, UsageError
from rescli.spec.from_names import Choice, choose_changes, choose_spec
from rescli.spec.load import load_spec


@pytest.mark.parametrize(
    ("choice", "preset", "net"),
    [
        (Choice("quickstart"), "quickstart", "shapes-resnet-8"),
        (Choice(depth=20), "cifar10/resnet-20", "cifar10-resnet-20"),
        (Choice(dataset="cifar10", depth=110), "cifar10/resnet-110", "cifar10-resnet-110"),
        (Choice(model="plain-56"), "cifar10/plain-56", "cifar10-plain-56"),
        (Choice(dataset="cifar10"), "cifar10/base", "cifar10-resnet-20"),
        (Choice(dataset="shapes"), "shapes/base", "shapes-resnet-20"),
        # No preset of that name: the base with that net.
        (Choice(depth=26), "cifar10/base", "cifar10-resnet-26"),
        (Choice(dataset="cifar100", depth=56), "cifar100/base", "cifar100-resnet-56"),
        (Choice(dataset="shapes", model="plain-8"), "shapes/base", "shapes-plain-8"),
        # A preset that is changed.
        (Choice("quickstart", depth=14), "quickstart", "shapes-resnet-14"),
        (Choice("quickstart", model="plain-20"), "quickstart", "shapes-plain-20"),
        (Choice("quickstart", dataset="cifar10"), "quickstart", "cifar10-resnet-8"),
    ],
)
def test_which_preset_and_which_net(choice: Choice, preset: str, net: str) -> None:
    used, spec = choose_spec(choice)
    assert (used, spec.name) == (preset, f"{net}-seed0")


def test_a_preset_alone_is_not_changed() -> None:
    assert choose_spec(Choice("he2015/resnet-110"))[1] == load_spec("he2015/resnet-110")
    assert choose_spec(Choice(depth=110))[1] == load_spec("cifar10/resnet-110")


def test_the_base_with_the_papers_net_is_the_preset() -> None:
    """cifar100/base with 20 layers differs from cifar10/resnet-20 in the data set alone."""
    table = choose_spec(Choice(dataset="cifar100", depth=20))[1].to_dict()
    table["data"]["dataset"]["kind"] = "cifar10"
    assert table == load_spec("cifar10/resnet-20").to_dict()


@pytest.mark.parametrize(
    ("choice", "warms_up"),
    [
        (Choice(dataset="cifar100", depth=104), False),
        (Choice(dataset="cifar100", depth=110), True),
        (Choice(depth=164), True),
        (Choice(dataset="shapes", model="plain-110"), True),
        (Choice(dataset="cifar10", depth=110), True),
        (Choice(dataset="cifar10", depth=56), False),
    ],
)
def test_warm_up_from_110_layers_on(choice: Choice, warms_up: bool) -> None:
    schedule = choose_spec(choice)[1].to_dict()["schedule"]
    expected = {"factor": 0.1, "until_train_error": 80.0} if warms_up else None
    assert schedule.get("warmup") == expected


def test_each_flag_reaches_its_key() -> None:
    choice = Choice(
        dataset="cifar10",
        depth=20,
        shortcut="B",
        iterations=100,
        batch_size=32,
        seed=7,
        precision="fp32",
        overrides=[("optimizer.lr", 0.05)],
    )
    before, after = load_spec("cifar10/resnet-20").to_dict(), choose_spec(choice)[1].to_dict()
    before["model"]["shortcut"] = "B"
    before["iterations"] = 100
    before["data"]["batch_size"] = 32
    before["seed"] = 7
    before["precision"] = "fp32"
    before["optimizer"]["lr"] = 0.05
    assert after == before


def test_set_has_the_last_word() -> None:
    assert choose_spec(Choice("quickstart", seed=1, overrides=[("seed", 2), ("seed", 3)]))[1].seed == 3


def test_zero_is_a_value_not_an_absence() -> None:
    assert choose_spec(Choice("quickstart", seed=0, overrides=[]))[1].seed == 0
    with pytest.raises(SpecError, match=r"^data\.batch_size: "):
        choose_spec(Choice("quickstart", batch_size=0))
    with pytest.raises(SpecError, match=r"^model\.depth: .*above 0"):
        choose_spec(Choice(depth=0))


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(), "nothing to train was named"),
        (Choice(seed=3), "nothing to train was named"),
        (Choice(model="resnet-20", depth=20), "the model 'resnet-20' and the depth 20 both name a depth"),
        (Choice("quickstart", model="plain", depth=20), "both name a depth"),
        (Choice(dataset="cifar1"), "unknown dataset 'cifar1'.*Did you mean 'cifar10'"),
        (Choice("quickstart", dataset="cifar1"), "unknown dataset 'cifar1'.*Did you mean 'cifar10'"),
        (Choice(model="resnet56"), "unknown model 'resnet56'.*Did you mean 'resnet-56'"),
        (Choice("quickstart", model="resnet56"), "unknown model 'resnet56'"),
        (Choice(model="resnet-abc"), "'abc' in 'resnet-abc' is not a depth"),
        (Choice("quikstart"), "unknown preset 'quikstart'"),
        (Choice(depth=57), r"57 is not 6n\+2; the nearest depths are 56 \(n=9\) and 62 \(n=10\)"),
        (Choice(dataset="shapes", depth=57), r"56 \(n=9\) and 62 \(n=10\)"),
        (Choice(model="resnet"), r"model\.depth: is required"),
        (Choice(model="plain-20", shortcut="B"), r"model\.shortcut: unknown key"),
    ],
)
def test_what_cannot_be_trained(choice: Choice, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose_spec(choice)


class _DiscsSpec(ShapesSpec):
    kind: Literal["discs"] = "discs"  # type: ignore[assignment]


def test_a_data_set_without_a_base_needs_a_preset() -> None:
    with registry.override("datasets", "discs", _DiscsSpec):
        with pytest.raises(UsageError, match="'discs' has no preset 'discs/base'"):
            choose_spec(Choice(dataset="discs", depth=20))
        with pytest.raises(UnknownNameError, match="unknown preset 'discs/base'"):
            choose_spec(Choice(dataset="discs"))
        assert choose_spec(Choice("shapes/base", dataset="discs"))[1].name == "discs-resnet-20-seed0"


def test_a_file_is_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "shapes/base"\nseed = 5\n')
    used, spec = choose_spec(Choice(str(path), depth=8))
    assert (used, spec.name) == (str(path), "shapes-resnet-8-seed5")


def test_choose_changes_lays_flags_over_a_spec_whatever_it_trains() -> None:
    changed = choose_changes("he2015/plain-20", Choice(iterations=5, overrides=[("optimizer.lr", 0.2)]))
    table = load_spec("he2015/plain-20").to_dict()
    table["iterations"], table["optimizer"]["lr"] = 5, 0.2
    assert changed.to_dict() == table


@pytest.mark.parametrize(
    ("fields", "is_empty", "names_a_net"),
    [
        ({}, True, False),
        ({"seed": 0}, False, False),
        ({"overrides": [("seed", 1)]}, False, False),
        ({"preset": "quickstart"}, False, True),
        ({"depth": 20}, False, True),
        ({"model": "resnet-20"}, False, True),
        ({"dataset": "shapes"}, False, True),
    ],
)
def test_what_a_choice_names(fields: dict[str, Any], is_empty: bool, names_a_net: bool) -> None:
    choice = Choice(**fields)
    assert (choice.is_empty, choice.names_a_net) == (is_empty, names_a_net)
