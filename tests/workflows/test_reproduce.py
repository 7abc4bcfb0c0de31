"""``reproduce`` as Python calls it."""

import copy
import json
import pickle

import pytest
from matplotlib.figure import Figure

from rescli.errors import Interrupted, NoMemoryError, UnknownNameError, UsageError
from rescli.studies import queue
from rescli.studies.events import RunBegun
from rescli.workflows.reproduce import reproduce

SMALL = {
    "data.dataset": {"kind": "shapes", "num_train": 60, "num_val": 30, "num_test": 40},
    "data.batch_size": 8,
    "model.width": 4,
    "iterations": 4,
    "evaluation.every": 2,
}


pytestmark = pytest.mark.usefixtures("here")


def test_a_plan_trains_and_writes_nothing(here):
    found = reproduce("table6", seeds=2, dry_run=True)
    assert len(found.plan) == 12
    assert [planned.run.spec.seed for planned in found.plan] == [0] * 6 + [1] * 6
    assert (found.rows, found.figure()) == ((), None)
    assert list(here.iterdir()) == []
    assert "planned, 12 runs" in found._repr_html_()


def test_a_table_beside_the_papers():
    found = reproduce("table6", only=["resnet-20"], changes=SMALL, device="cpu")
    (row,) = [row for row in found.rows if row["measured"]]
    assert row["label"] == "ResNet-20 A"
    left_out = found.not_run["ResNet-110 A"]
    assert (left_out, left_out.kind) == ("left out, as asked", "left_out")
    text = str(found.table()).splitlines()
    assert text[0].split() == ["net", "published", "measured", "verdict"]
    assert "8.75" in next(line for line in text if line.startswith("ResNet-20 A"))
    assert "ResNet-20 A" in found._repr_html_()


def test_a_figure_is_a_figure():
    found = reproduce("fig1", only=["plain-20"], changes=SMALL, device="cpu")
    assert isinstance(found.figure(), Figure)
    assert found.out.joinpath("fig1.svg").is_file()


def test_layer_responses_are_a_figure_too():
    found = reproduce("fig7", only=["plain-20", "resnet-20"], changes=SMALL, device="cpu")
    above, below = found.figure().axes
    for axes in (above, below):
        assert [len(line.get_xdata()) for line in axes.get_lines()] == [19, 19]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["plain-20", "resnet-20"]
    assert found.out.joinpath("fig7.svg").is_file()
    assert reproduce("fig7", train=False, only="plain-56", device="cpu").figure() is None


def test_a_plan_can_be_saved_and_says_that_it_is_one(here):
    found = reproduce("table6", seeds=2, dry_run=True)
    assert "A plan of 12 runs; nothing is measured yet." in found.as_markdown()
    found.save(here / "plan")
    written = json.loads((here / "plan" / "table6.json").read_text())
    assert (written["rows"], written["target"]) == ([], "table6")
    assert written["rescli_version"]


def test_one_name_is_a_list_of_one():
    found = reproduce("table6", only="ResNet-20", dry_run=True)
    assert [planned.run.spec.model.name for planned in found.plan] == ["resnet-20"]


@pytest.mark.parametrize(
    ("target", "net", "kind"),
    [("table5", "ResNet", "closed"), ("fig1", "plain-20", "unfinished")],
)
def test_the_sort_of_reason_is_known(target, net, kind):
    found = reproduce(target, train=False, device="cpu")
    (row,) = [row for row in found.rows if row["label"].startswith(net)][:1]
    assert row["not_run"].kind == kind
    assert copy.deepcopy(row["not_run"]).kind == kind
    assert pickle.loads(pickle.dumps(row["not_run"])) == row["not_run"]


def test_an_unknown_net_says_which_there_are():
    with pytest.raises(UnknownNameError, match="ResNet-20 A"):
        reproduce("table6", only=["plain-20"])


def test_the_device_is_chosen_before_anything_else(here):
    with pytest.raises(UsageError, match="unknown device 'nope'"):
        reproduce("table6", only=["ResNet-20"], changes=SMALL, device="nope")
    assert list(here.iterdir()) == []


def failing(monkeypatch, error):
    """The run of 20 layers ends with ``error``."""
    execute = queue.execute

    def fail(assembly, *arguments, **keywords):
        if assembly.spec.model.depth == 20:
            raise error
        return execute(assembly, *arguments, **keywords)

    monkeypatch.setattr(queue, "execute", fail)


def test_a_run_without_memory_is_named_and_the_others_go_on(monkeypatch):
    failing(monkeypatch, NoMemoryError("cuda has no memory for batches of 8"))
    found = reproduce("table6", only=["resnet-20", "resnet-32"], changes=SMALL, device="cpu")
    assert "no memory" in found.not_run["ResNet-20 A"]
    assert [row["label"] for row in found.rows if row["measured"]] == ["ResNet-32 A"]


def test_any_other_usage_error_ends_it(monkeypatch):
    failing(monkeypatch, UsageError("this network raises"))
    with pytest.raises(UsageError, match="this network raises"):
        reproduce("table6", only=["resnet-20", "resnet-32"], changes=SMALL, device="cpu")


def test_seeds_count_on_from_the_changed_one():
    found = reproduce("table6", only=["resnet-20"], changes={"seed": 5}, seeds=2, dry_run=True)
    assert [planned.run.spec.seed for planned in found.plan] == [5, 6]


def test_a_keyboard_interrupt_from_a_sink_saves_the_state(here):
    def impatient(told):
        if isinstance(told, RunBegun):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        reproduce("table6", only=["resnet-20"], changes=SMALL, device="cpu", on_event=impatient)
    assert len(list((here / "runs").glob("*/state/latest.json"))) == 1


def test_a_notebook_shows_the_plan_and_the_queue(notebook_cell):
    reproduce("table6", dry_run=True)
    assert "cifar10-resnet-110" in notebook_cell.left
    reproduce("table6", only=["resnet-20"], changes=SMALL, device="cpu")
    assert len(notebook_cell.outputs) == 2
    assert "shapes-resnet-20-seed0" in notebook_cell.outputs[1][-1]
    assert "4/4" in notebook_cell.outputs[1][-1]
    assert "40/40" in notebook_cell.seen
