"""From files and flags to a spec, and what a user reads when that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rescli import registry
from rescli.errors import SpecError, UnknownNameError, UsageError
from rescli.spec.load import (
    find_preset,
    load_spec,
    parse_override,
    parse_overrides,
    preset_names,
    read_preset,
    spec_from_dict,
)

WHOLE = """\
iterations = 100
model = { kind = "resnet", depth = 8 }
data = { dataset = "shapes" }
optimizer = "sgd"
schedule = { kind = "multistep", milestones = [50] }
"""


def _refusal(preset: str, *pairs: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(preset, [parse_override(pair) for pair in pairs])
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_one(text: str, name: str = "mine.toml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_one


# Names


def test_a_preset_is_found_by_name() -> None:
    assert find_preset("cifar10/resnet-20").is_file()
    assert load_spec("cifar10/resnet-20").name == "cifar10-resnet-20-seed0"


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown preset 'quikstart'.*Did you mean 'quickstart'"
    ) as caught:
        load_spec("quikstart")
    assert all(name in str(caught.value) for name in preset_names())


@pytest.mark.parametrize("name", ["../pyproject", "/etc/passwd", ""])
def test_a_preset_name_is_no_path(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown preset"):
        find_preset(name)


def test_unknown_dataset_and_model_name_what_there_is() -> None:
    said = _refusal("quickstart", "data.dataset=cifar1")
    assert "data.dataset: unknown dataset 'cifar1'; known: " + ", ".join(registry.names("datasets")) in said
    assert "Did you mean 'cifar10'?" in said
    said = _refusal("quickstart", "model.kind=resnt")
    assert "model: unknown model 'resnt'; known: plain, resnet. Did you mean 'resnet'?" in said


# Files


def test_a_file_that_an_editor_marked(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WHOLE, encoding="utf-8-sig")
    assert load_spec(str(tmp_path / "mine.toml")).iterations == 100


def test_a_file_of_the_users(write: Any) -> None:
    spec = load_spec(write(WHOLE))
    assert (spec.iterations, spec.model.name, spec.data.dataset.kind) == (100, "resnet-8", "shapes")


def test_missing_file() -> None:
    with pytest.raises(SpecError, match=r"no such spec file: no/such\.toml"):
        load_spec("no/such.toml")


def test_broken_toml_names_file_and_line(write: Any) -> None:
    path = write("iterations = 5\nlr = = 3\n")
    said = _refusal(path)
    assert path in said
    assert "is not TOML" in said
    assert "line 2" in said


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot read" in _refusal(str(path))


# Bases


def test_a_base_lies_below(write: Any) -> None:
    spec = load_spec(write('base = "shapes/base"\niterations = 7\n[optimizer]\nlr = 0.3\n'))
    below = load_spec("shapes/base").to_dict()
    below["iterations"], below["optimizer"]["lr"] = 7, 0.3
    assert spec.to_dict() == below


def test_a_section_of_another_kind_replaces_the_bases(write: Any) -> None:
    """val_size and split_seed belong to cifar10; shapes would refuse them."""
    spec = load_spec(write('base = "cifar10/base"\n[data.dataset]\nkind = "shapes"\nnum_val = 10\n'))
    assert read_preset("cifar10/base")["data"]["dataset"]["val_size"] == 5000
    assert spec.to_dict()["data"]["dataset"] == {
        "kind": "shapes",
        "data_seed": 0,
        "num_train": 10000,
        "num_val": 10,
        "num_test": 2000,
    }
    assert spec.data.batch_size == 256  # the section around it stays


def test_a_section_of_the_same_kind_or_without_one_is_mixed(write: Any) -> None:
    for kind in ('kind = "cifar10"\n', ""):
        spec = load_spec(write(f'base = "cifar10/base"\n[data.dataset]\n{kind}val_size = 10\n'))
        assert spec.data.dataset.sizes == {"train": 49990, "val": 10, "test": 10000}


def test_a_base_of_a_base_is_refused(write: Any) -> None:
    said = _refusal(write('base = "quickstart"\n'))
    assert "has base 'quickstart', which has a base itself; one level is allowed" in said


def test_a_base_of_a_base_names_the_one_that_can_be_taken(write: Any) -> None:
    with pytest.raises(SpecError) as refused:
        load_spec(write('base = "quickstart"\n'))
    assert (
        refused.value.hint == "write base = 'shapes/base', and copy the lines of 'quickstart' that you need"
    )


def test_an_unknown_base() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset"):
        read_preset("cifar10/bas")


def test_a_base_that_is_a_file(write: Any) -> None:
    below = write(WHOLE, "below.toml")
    assert load_spec(write(f'base = "{below}"\nseed = 3\n')).seed == 3


# --set


@pytest.mark.parametrize(
    ("pair", "parsed"),
    [
        ("optimizer.lr=0.05", ("optimizer.lr", 0.05)),
        ("optimizer.lr=5e-2", ("optimizer.lr", 0.05)),
        ("seed=7", ("seed", 7)),
        ("iterations=64_000", ("iterations", 64000)),
        ("optimizer.nesterov=true", ("optimizer.nesterov", True)),
        ("schedule.milestones=[10, 20]", ("schedule.milestones", [10, 20])),
        ("model.block={kind = 'basic'}", ("model.block", {"kind": "basic"})),
        ("precision=bf16", ("precision", "bf16")),  # no quotes needed
        ('precision="bf16"', ("precision", "bf16")),
        (" precision = bf16 ", ("precision", "bf16")),
        ("precision=a=b", ("precision", "a=b")),
        ("precision=", ("precision", "")),
        ("optimizer.nesterov=True", ("optimizer.nesterov", "True")),  # not TOML; pydantic reads it
    ],
)
def test_parse_override(pair: str, parsed: tuple[str, Any]) -> None:
    key, value = parse_override(pair)
    assert (key, value) == parsed
    assert type(value) is type(parsed[1])


@pytest.mark.parametrize("pair", ["optimizer.lr", "=5", " =5", ""])
def test_a_pair_without_key_or_value_says_how_to_write_one(pair: str) -> None:
    with pytest.raises(SpecError, match="is not KEY=VALUE") as caught:
        parse_override(pair)
    assert caught.value.hint == "for example optimizer.lr=0.05"


def test_set_reaches_every_depth() -> None:
    pairs = ("seed=3", "optimizer.lr=0.05", "data.augment.pad=2", "model.block.kind=basic")
    spec = load_spec("quickstart", map(parse_override, pairs)).to_dict()
    assert spec["seed"] == 3
    assert spec["optimizer"]["lr"] == 0.05
    assert spec["data"]["augment"] == {"pad": 2, "flip": True}


def test_of_a_key_named_twice_the_last_place_counts() -> None:
    found = parse_overrides(
        ["model.block=basic", "seed=1", "model.block.kind=bottleneck", "model.block=basic"]
    )
    assert list(found.items()) == [("seed", 1), ("model.block.kind", "bottleneck"), ("model.block", "basic")]


def test_the_last_set_wins() -> None:
    assert load_spec("quickstart", [("seed", 1), ("seed", 2)]).seed == 2


def test_a_kind_alone_stands_for_its_section(write: Any) -> None:
    written_out = {"kind": "shapes", "data_seed": 0, "num_train": 5, "num_val": 1000, "num_test": 2000}
    spec = load_spec(write(WHOLE), [("data.dataset.num_train", 5)])  # data.dataset was "shapes"
    assert spec.to_dict()["data"]["dataset"] == written_out
    spec = load_spec("cifar10/base", [("data.dataset", "shapes"), ("data.dataset.num_train", 5)])
    assert spec.to_dict()["data"]["dataset"] == written_out
    assert spec.optimizer.kind == "sgd"


# Keys and values that cannot work


@pytest.mark.parametrize(
    ("pair", "path", "guess", "allowed"),
    [
        ("optimiser.lr=1", "optimiser", "optimizer", "schedule, seed"),
        ("optimizer.learning_rate=1", "optimizer.learning_rate", None, "decay, kind, lr, momentum"),
        ("optimizer.momentun=1", "optimizer.momentun", "optimizer.momentum", "weight_decay"),
        ("data.batchsize=1", "data.batchsize", "data.batch_size", "augment, batch_size, dataset"),
        ("data.augment.padd=1", "data.augment.padd", "data.augment.pad", "flip, pad"),
        ("model.dept=20", "model.dept", "model.depth", "stride_on, width"),
        ("schedule.milestone=[1]", "schedule.milestone", "schedule.milestones", "gamma, kind"),
        ("evaluation.evry=1", "evaluation.evry", "evaluation.every", "every"),
    ],
)
def test_unknown_key(pair: str, path: str, guess: str | None, allowed: str) -> None:
    said = _refusal("quickstart", pair)
    assert said.startswith(f"{path}: unknown key; allowed here: ")
    assert allowed in said
    assert said.endswith(f"Did you mean {guess}?") if guess else "Did you mean" not in said
    assert ";" not in said.removeprefix(f"{path}: unknown key;")  # one mistake, one message


@pytest.mark.parametrize(
    ("pair", "path", "given"),
    [
        ("optimizer.lr=abc", "optimizer.lr", "'abc'"),
        ("optimizer.lr=0", "optimizer.lr", "0"),
        ("optimizer.lr=nan", "optimizer.lr", "nan"),
        ("optimizer.momentum=1", "optimizer.momentum", "1"),
        ("data.batch_size=0", "data.batch_size", "0"),
        ("data.batch_size=1.5", "data.batch_size", "1.5"),
        ("iterations=-1", "iterations", "-1"),
        ("seed=-1", "seed", "-1"),
        ("precision=fp8", "precision", "'fp8'"),
        ("schedule.milestones=[20, 10]", "schedule.milestones", "[20, 10]"),
        ("schedule.milestones=[0]", "schedule.milestones", "[0]"),
        ("model.shortcut=D", "model.shortcut", "'D'"),
        ("evaluation.every=0", "evaluation.every", "0"),
        ("iterations.x=1", "iterations", None),
    ],
)
def test_impossible_value(pair: str, path: str, given: str | None) -> None:
    said = _refusal("quickstart", pair)
    assert said.startswith(f"{path}: ")
    assert said.count(": ") - said.count("given: ") == 1  # the one path
    if given is not None:
        assert f"(given: {given})" in said


def test_depth_57_names_its_neighbours() -> None:
    said = _refusal("quickstart", "model.depth=57")
    assert said == "model: 57 is not 6n+2; the nearest depths are 56 (n=9) and 62 (n=10)"


def test_two_mistakes_are_told_at_once() -> None:
    said = _refusal("quickstart", "seed=-1", "optimizer.lr=abc")
    assert "seed: " in said
    assert "optimizer.lr: " in said


def test_what_is_missing() -> None:
    with pytest.raises(SpecError, match=r"optimizer: is required\.; schedule: is required\."):
        spec_from_dict({"model": {"kind": "resnet", "depth": 8}, "data": {"dataset": "shapes"}})
    with pytest.raises(SpecError, match="optimizer: needs a kind, one of sgd"):
        load_spec("quickstart", [("optimizer", {"lr": 0.1})])


@pytest.mark.parametrize("value", [5, "resnet", [], {"kind": 5}, {}])
def test_a_section_of_a_wrong_type_is_refused_with_its_name(value: Any) -> None:
    for section in ("model", "data", "optimizer", "schedule"):
        if (section, value) == ("model", "resnet"):
            expected = r"model\.depth: is required"
        else:
            expected = rf"{section}(\.\w+)?: "
        with pytest.raises(UsageError, match=expected):
            load_spec("quickstart", [(section, value)])
