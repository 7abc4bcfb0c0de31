"""What ``compare`` may be given from Python, what it makes of it, and what it refuses before any work."""

from pathlib import Path

import numpy as np
import pytest

import rescli
from rescli.errors import SpecError, UsageError
from rescli.studies.events import PlanMade
from rescli.workflows.compare import compare

SMALL = {
    "data.dataset": {"kind": "shapes", "num_train": 60, "num_val": 30, "num_test": 40},
    "data.batch_size": 8,
    "model.width": 4,
    "iterations": 2,
    "evaluation.every": 2,
}


pytestmark = pytest.mark.usefixtures("here")


def spec(name="plain-8", **changes):
    return rescli.spec(
        name, {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}, dataset="shapes"
    )


class Planned(Exception):
    """Ends a comparison where training would begin."""


def planned(operands, **given):
    """Label and spec of each run that would be trained."""
    found = []

    def stop(event):
        if isinstance(event, PlanMade):
            found.extend(planned.run.spec for planned in event.runs)
            raise Planned

    with pytest.raises(Planned):
        compare(operands, device="cpu", on_event=stop, **given)
    return found


def refused(operands, error=UsageError, **given):
    with pytest.raises(error) as raised:
        compare(operands, device="cpu", **given)
    assert not Path("runs").exists()
    return str(raised.value)


def test_seeds_count_on_from_the_specs_own():
    runs = planned([spec(seed=3), spec("resnet-8", seed=40)], seeds=2)
    assert sorted((run.model.name, run.seed) for run in runs) == [
        ("plain-8", 3),
        ("plain-8", 4),
        ("resnet-8", 40),
        ("resnet-8", 41),
    ]
    assert {run.seed for run in planned(["plain-8", "resnet-8"], dataset="shapes", seeds=2)} == {0, 1}
    changed = planned(["plain-8", "resnet-8"], dataset="shapes", changes={"seed": 7})
    assert {run.seed for run in changed} == {7}


@pytest.mark.parametrize(("first", "second", "seeds"), [(3, 3, 1), (3, 4, 2), (0, 2, 3)])
def test_a_run_is_not_compared_with_itself(first, second, seeds):
    message = refused([spec(seed=first), spec(seed=second)], seeds=seeds)
    assert "same" in message
    assert str(max(first, second)) in message or first == second


def test_a_file_is_not_compared_with_itself_under_another_name(trained):
    with pytest.raises(UsageError, match="same"):
        compare([trained.path, trained.path / "checkpoints" / "last.safetensors"])
    with pytest.raises(UsageError, match="same"):
        compare([trained, rescli.load(trained)])


@pytest.fixture
def trained():
    return rescli.train(spec("resnet-8", optimizer__lr=0.02), out="ours/first", device="cpu", progress=False)


def test_what_is_changed_is_changed_in_specs_too():
    runs = planned(
        [spec(), spec("resnet-8")],
        iterations=5,
        batch_size=16,
        precision="fp32",
        changes={"optimizer.lr": 0.03},
    )
    for run in runs:
        assert (run.iterations, run.data.batch_size, run.precision) == (5, 16, "fp32")
        assert run.optimizer.lr == 0.03


def test_a_spec_keeps_what_is_not_changed():
    given = [spec("resnet-110", schedule__warmup=None), spec("resnet-8")]
    assert planned(given, iterations=2) == given


def test_the_device_is_chosen_before_any_work():
    with pytest.raises(UsageError, match="unknown device 'nope'"):
        compare([spec(), spec("resnet-8")], device="nope")
    assert not Path("runs").exists()


def test_what_cannot_be_changed_is_refused():
    two = [spec(), spec("resnet-8")]
    assert "unknown key" in refused(two, SpecError, changes={"no.such": 1})
    assert "nope" in refused(two, dataset="nope")
    assert "its own data set" in refused(two, dataset="cifar10")
    assert "its own data set" in refused(["plain-8", "shapes/resnet-44"], dataset="cifar10")
    assert planned(two, dataset="shapes") == two


@pytest.mark.parametrize(
    "given",
    [
        {"iterations": 5},
        {"batch_size": 5},
        {"precision": "fp32"},
        {"changes": {"iterations": 5}},
        {"dataset": "shapes"},
        {"seeds": 2},
        {"budget": "1h"},
    ],
)
def test_settings_that_change_nothing_are_said_and_no_error(trained, caplog, given):
    """A script may give the same flags to whatever it compares."""
    other = rescli.train(spec(), out="ours/second", device="cpu", progress=False)
    found = compare([trained, other], device="cpu", **given)
    assert f"trained already: {next(iter(given))} change nothing" in caplog.text
    assert [len(one["runs"]) for one in found.contenders] == [1, 1]
    assert not Path("runs").exists()


def test_labels_say_what_differs():
    labels = list(labelled([spec(optimizer__lr=0.05), spec(optimizer__lr=0.1)]))
    assert labels == ["plain-8 optimizer.lr=0.05", "plain-8 optimizer.lr=0.1"]
    labels = labelled([spec(), spec("resnet-8"), spec(seed=1, data__augment={"pad": 2, "flip": False})])
    assert labels == [
        "plain-8 data.augment.pad=4 data.augment.flip=true seed=0",
        "resnet-8",
        "plain-8 data.augment.pad=2 data.augment.flip=false seed=1",
    ]


def labelled(operands, **given):
    from rescli.spec.from_names import Choice
    from rescli.studies.operands import read_operands

    return [one.label for one in read_operands(operands, Choice(**given))]


def test_labels_of_a_preset_and_of_files_stay(trained):
    assert labelled(["shapes/plain-14", "plain-14"], dataset="shapes") == ["shapes/plain-14", "plain-14"]
    last = trained.path / "checkpoints" / "last.safetensors"
    other = Path("last.safetensors")
    other.write_bytes(last.read_bytes())
    assert labelled([last, other]) == ["last", "last (2)"]


def test_a_mapping_names_what_is_compared():
    slow, fast = spec(optimizer__lr=0.01), spec(optimizer__lr=0.1)
    found = compare({"slow": slow, "fast": fast}, device="cpu")
    assert [one["label"] for one in found.contenders] == ["slow", "fast"]
    assert list(found.verdicts) == [("slow", "fast")]
    assert found.out.name.startswith("slow-vs-fast-")


def test_runs_nets_and_paths_are_operands(trained):
    other = rescli.train(spec(), out="ours/second", device="cpu", progress=False)
    found = compare([rescli.load(trained), other], device="cpu")
    assert [one["label"] for one in found.contenders] == ["first", "second"]
    assert compare([trained.path, "ours/second"], device="cpu").pairs == found.pairs


def test_an_edited_net_is_not_taken_for_its_checkpoint(trained):
    net = rescli.load(trained)
    net.model.fc.weight.data.zero_()
    with pytest.raises(UsageError, match="no longer has the weights"):
        compare([net, "resnet-8"])


@pytest.mark.parametrize("one", ["plain-20", ["plain-20"], {"a": "plain-20"}, ("plain-20",), []])
def test_one_thing_is_no_comparison(one):
    assert "two things or more" in refused(one)


def test_one_spec_or_path_is_no_comparison():
    assert "two things or more" in refused(spec())
    assert "two things or more" in refused(Path("runs"))


@pytest.mark.parametrize("wrong", [5, None, object()])
def test_what_is_no_net_is_refused_by_its_type(wrong):
    assert type(wrong).__name__ in refused(["plain-8", wrong])


def test_changes_are_taken_as_they_are():
    changes = {
        "schedule.warmup": None,
        "schedule.milestones": (np.int64(3), 4),
        "optimizer.lr": np.float32(0.5),
        "data.dataset.num_train": np.int64(100),
    }
    (run, _) = planned(["resnet-110", "plain-8"], dataset="shapes", changes=changes)
    assert (run.schedule.warmup, list(run.schedule.milestones)) == (None, [3, 4])
    assert (run.optimizer.lr, run.data.dataset.num_train) == (0.5, 100)
