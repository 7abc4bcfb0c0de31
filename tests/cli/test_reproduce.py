import itertools
import json

import numpy as np
import pytest
from PIL import Image

from rescli.data.specs import ShapesSpec
from rescli.errors import DivergedError


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Nets of the paper on a few shapes: seconds instead of days, and no longer comparable."""
    monkeypatch.chdir(tmp_path)
    sets = ["data.dataset={kind='shapes', num_train=60, num_val=30, num_test=40}", "data.batch_size=8"]
    sets += ["model.width=4", "iterations=4", "evaluation.every=2", "checkpoint.every=2", "metrics.every=2"]
    return ["--device", "cpu", "-q", *(part for text in sets for part in ("--set", text))]


ONLY = ["--only", "resnet-20", "--only", "resnet-32 a"]


def test_a_dry_run_prints_the_plan_and_its_cost_and_does_nothing(rescli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = rescli("reproduce", "table6", "--seeds", 5, "--dry-run")
    assert answer.code == 0, answer.err
    assert answer.err.count("64,000 iterations") == 6 * 5
    assert "together" in answer.err
    assert list(tmp_path.iterdir()) == []
    plan = rescli("reproduce", "table6", "--seeds", 5, "--dry-run", "--json").json["plan"]
    assert len(plan) == 30
    seconds = [run["cpu_train_seconds"] for run in plan[:6]]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("name", ["table2", "table3", "table4", "table5", "fig4"])
def test_what_cannot_be_run_here_says_why_and_is_not_filled_in(rescli, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESCLI_DATA", str(tmp_path / "nothing"))
    answer = rescli("reproduce", name, "--json", "-q")
    assert answer.code == 0, answer.err
    assert all(row["measured"] is None for row in answer.json["rows"])
    ours = [row for row in answer.json["rows"] if row["preset"]]
    assert all(row["not_run"] for row in ours)


def test_a_table_ends_with_published_beside_measured(rescli, flags, tmp_path):
    answer = rescli("reproduce", "table6", *flags, *ONLY, "--seeds", 2, "--json")
    assert answer.code == 0, answer.err
    rows = {row["label"]: row for row in answer.json["rows"]}
    assert rows["ResNet-20 A"]["measured"]["n"] == 2
    assert rows["ResNet-20 A"]["published_top1"] == 8.75
    assert rows["ResNet-20 A"]["verdict"].startswith("not comparable: ")
    assert rows["ResNet-110 A"]["not_run"] == "left out by --only"
    assert rows["Maxout"]["measured"] is None
    out = tmp_path / "reproductions" / "table6"
    assert json.loads((out / "table6.json").read_text())["rows"] == answer.json["rows"]
    assert "| ResNet-20 A | 8.75 |" in (out / "table6.md").read_text()


def test_interrupted_and_begun_again_nothing_is_done_twice(rescli, flags, monkeypatch):
    import rescli.studies.queue as campaign

    whole = rescli("reproduce", "table6", *flags, *ONLY, "--runs", "whole", "--json").json
    execute, calls = campaign.execute, []

    def stop_second(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == 2:
            keywords["should_stop"] = iter([False, False, True, True]).__next__
        return execute(*arguments, **keywords)

    monkeypatch.setattr(campaign, "execute", stop_second)
    stopped = rescli("reproduce", "table6", *flags, *ONLY, "--runs", "parts", "--json")
    assert stopped.code == 130
    table = rescli("reproduce", "table6", *flags, *ONLY, "--runs", "parts", "--no-train", "--json").json
    assert [bool(row["measured"]) for row in table["rows"]].count(True) == 1
    again = rescli("reproduce", "table6", *flags, *ONLY, "--runs", "parts", "--json")
    assert len(calls) == 3  # the first was finished and not touched
    errors = [[row["measured"] for row in result["rows"]] for result in (whole, again.json)]
    assert errors[0] == errors[1]


def test_a_run_that_diverges_is_named_and_the_others_go_on(rescli, flags, monkeypatch):
    import rescli.studies.queue as campaign

    execute = campaign.execute

    def diverge(assembly, *arguments, **keywords):
        if assembly.spec.model.depth == 20:
            raise DivergedError("the loss is nan at iteration 3.")
        return execute(assembly, *arguments, **keywords)

    monkeypatch.setattr(campaign, "execute", diverge)
    answer = rescli("reproduce", "table6", *flags, *ONLY, "--json")
    rows = {row["label"]: row for row in answer.json["rows"]}
    assert "the loss is nan" in rows["ResNet-20 A"]["not_run"]
    assert rows["ResNet-32 A"]["measured"]["n"] == 1


@pytest.mark.parametrize(("name", "nets"), [("fig6", ["plain-20", "resnet-20"]), ("fig7", ["resnet-20"])])
def test_figures_are_drawn_from_what_is_finished(rescli, flags, tmp_path, name, nets):
    only = [part for net in nets for part in ("--only", net)]
    answer = rescli("reproduce", name, *flags, *only)
    assert answer.code == 0, answer.err
    assert "not run" in answer.out
    with Image.open(tmp_path / "reproductions" / name / f"{name}.png") as picture:
        assert picture.width > 300
    if name == "fig7":
        result = json.loads((tmp_path / "reproductions" / name / f"{name}.json").read_text())
        assert len(result["responses"][0]["layers"]) == 19


def test_photographs_are_tested_by_their_own_protocol(rescli, tmp_path, monkeypatch):
    """Figure 4 is of photographs, of which there is no 32x32 view and no test part."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, name in itertools.product(("train", "val"), ("cat", "dog")):
        for number in range(4):
            path = tmp_path / "photos" / split / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    dataset = "{kind='imagefolder', classes=['cat', 'dog'], num_train=8, num_val=4, held_out=false}"
    answer = rescli(
        *("reproduce", "fig4", "--only", "resnet-18", "--data-root", tmp_path / "photos", "--json"),
        *("--device", "cpu", "-q", "--set", f"data.dataset={dataset}", "--set", "data.batch_size=2"),
        *("--set", "model.width=4", "--set", "iterations=1"),
    )
    assert answer.code == 0, answer.err
    assert answer.json["protocol"] == "center224"
    (row,) = [row for row in answer.json["rows"] if row["measured"]]
    assert (row["label"], row["runs"][0]["protocol"]) == ("resnet-18", "center224")


def test_no_test_image_is_looked_at_before_the_training_is_over(rescli, flags, monkeypatch):
    built = []
    build = ShapesSpec.build

    def watched(self, data_root, splits):
        built.append(splits)
        return build(self, data_root, splits)

    monkeypatch.setattr(ShapesSpec, "build", watched)
    answer = rescli("reproduce", "table6", *flags, *ONLY)
    assert answer.code == 0, answer.err
    assert ("test",) in built
    assert all("test" not in splits for splits in built[: built.index(("test",))])
    assert built[: built.index(("test",))].count(("train", "val")) == 2


def test_an_unknown_device_is_no_reason_to_run_nothing(rescli, flags, tmp_path):
    answer = rescli("reproduce", "table6", *flags, *ONLY, "--device", "nope")
    assert answer.code == 2
    assert "unknown device 'nope'" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_out_is_said_in_flags_everywhere(rescli, flags, tmp_path):
    plan = rescli("reproduce", "table6", *ONLY, "--dry-run")
    assert "not run   ResNet-110 A: left out by --only" in plan.err
    plan = rescli("reproduce", "table6", *ONLY, "--dry-run", "--json")
    assert plan.json["not_run"]["ResNet-110 A"] == "left out by --only"
    answer = rescli("reproduce", "table6", *flags, "--only", "resnet-20")
    assert "left out by --only" in answer.out
    assert "left out by --only" in (tmp_path / "reproductions" / "table6" / "table6.md").read_text()


def test_a_net_that_the_table_does_not_have(rescli):
    answer = rescli("reproduce", "table6", "--only", "plain-20", "--dry-run")
    assert answer.code == 2
    assert "ResNet-20 A" in answer.err
