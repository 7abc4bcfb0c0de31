"""``compare`` as Python calls it."""

import importlib.util
import json
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from rescli.errors import Interrupted, UsageError
from rescli.runs.budget.trial import RunCost
from rescli.spec.load import load_spec
from rescli.studies.events import BudgetFitted, Note, PlanMade, RunBegun, RunEnded, RunEvent
from rescli.studies.queue import RunQueue
from rescli.training.events import EvalDone, MetricsReady
from rescli.workflows.compare import compare

FEW = {"kind": "shapes", "num_train": 200, "num_val": 50, "num_test": 60}
CHANGES = {"data.dataset": FEW, "evaluation.every": 5, "checkpoint.every": 4, "metrics.every": 3}


def short(operands=("plain-8", "resnet-8"), **given):
    settings = {"dataset": "shapes", "iterations": 12, "batch_size": 16, "device": "cpu", "changes": CHANGES}
    return compare(operands, **settings | given)


def test_a_comparison_shows_itself_and_in_a_notebook_how_it_is_made(here, notebook_cell):
    found = short()
    (progress,) = notebook_cell.outputs
    for words in ("shapes-plain-8-seed0", "shapes-resnet-8-seed0", "12/12", "testing ..."):
        assert words in progress[-1]
    assert "60/60" in notebook_cell.seen
    assert [one["label"] for one in found.contenders] == ["plain-8", "resnet-8"]
    assert found.verdict == found.summary[0]
    assert found.verdict.endswith(".")
    assert list(found.verdicts) == [("plain-8", "resnet-8")]
    assert isinstance(found.figure(), Figure)
    assert len(found.figure().axes) == 2
    shown = found._repr_html_()
    assert found.verdict in shown.replace("&#x27;", "'")
    assert shown.count("<tr>") == 3
    assert found.out.parent == here / "comparisons" or found.out.parts[0] == "comparisons"


@pytest.mark.usefixtures("here")
def test_the_table_is_a_frame_of_numbers_where_pandas_is():
    found = short()
    assert [row[0].text for row in found.table().rows] == ["plain-8", "resnet-8"]
    assert isinstance(found.responses_figure(), Figure)
    assert [net.label for net in found.net_curves()] == ["plain-8", "resnet-8"]
    head, verdict, *_ = repr(found).splitlines()
    assert head == "Comparison of 2 nets"
    assert verdict.strip(" .") in found.verdict
    if importlib.util.find_spec("pandas") is not None:
        frame = found.to_frame()
        assert list(frame["net"]) == ["plain-8", "resnet-8"]
        assert frame["test error"].between(0, 100).all()


def test_it_is_written_where_it_is_asked_to_be(here):
    found = short(out=here / "there")
    assert json.loads((here / "there" / "compare.json").read_text()) == json.loads(found.to_json())
    found.save(here / "copy")
    for name in ("compare.json", "report.html", "curves.png", "responses.svg"):
        assert (here / "copy" / name).read_bytes()[:9] == (here / "there" / name).read_bytes()[:9]
    page = (here / "copy" / "report.html").read_text()
    assert f'<p class="summary">{found.verdict}</p>' in page.replace("&#39;", "'")


@pytest.mark.usefixtures("here")
def test_everything_that_happens_is_told(capsys):
    told = []
    short(on_event=told.append)
    assert capsys.readouterr() == ("", "")  # a script that did not ask for progress sees none
    kinds = [type(event) for event in told]
    assert kinds[0] == PlanMade
    assert (kinds.count(RunBegun), kinds.count(RunEnded)) == (2, 2)
    evaluated = [event for event in told if isinstance(event, RunEvent) and isinstance(event.event, EvalDone)]
    assert [event.run.spec.model.name for event in evaluated] == ["plain-8"] * 3 + ["resnet-8"] * 3


@pytest.mark.usefixtures("here")
def test_specs_are_operands_too():
    specs = [
        load_spec(
            "shapes/base", [*CHANGES.items(), ("iterations", 3), ("model", {"kind": "plain", "depth": 8})]
        )
    ]
    specs.append(
        specs[0].model_copy(update={"optimizer": specs[0].optimizer.model_copy(update={"lr": 0.01})})
    )
    found = compare(specs, device="cpu")
    assert [one["label"] for one in found.contenders] == [
        "plain-8 optimizer.lr=0.1",
        "plain-8 optimizer.lr=0.01",
    ]
    assert found.contenders[0]["test_error"] is not None


@pytest.mark.parametrize(
    ("when", "statuses"),
    [
        (lambda told: isinstance(told, RunEvent) and isinstance(told.event, MetricsReady), ["interrupted"]),
        (lambda told: isinstance(told, RunBegun), ["interrupted"]),
        (lambda told: isinstance(told, RunEnded), ["finished"]),
        (
            lambda told: isinstance(told, RunEnded) and told.run.spec.model.name == "resnet-8",
            ["finished"] * 2,
        ),
    ],
)
def test_a_keyboard_interrupt_from_a_sink_saves_and_the_same_call_goes_on(here, when, statuses):
    whole = short(runs="whole").contenders

    def impatient(told):
        if when(told):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        short(on_event=impatient)
    assert stopped.value.clean
    assert not stopped.value.remedies  # a resume of the one run would leave the others
    assert stopped.value.hint == "the same command trains what is missing"
    records = sorted((here / "runs").glob("*/record.json"))
    assert [json.loads(record.read_text())["status"] for record in records] == statuses
    if statuses == ["interrupted"]:
        assert (records[0].parent / "state" / "latest.json").is_file()
    again = short().contenders
    assert [one["test_error"] for one in again] == [one["test_error"] for one in whole]


@pytest.mark.usefixtures("here")
def test_a_hopeless_budget_begins_nothing_and_the_remedy_is_an_argument(monkeypatch):
    trials = []
    monkeypatch.setattr(RunQueue, "measure", lambda *_, **__: trials.append(1) or RunCost(1, 0.5))
    with pytest.raises(UsageError, match="too short to learn anything") as refused:
        compare(["shapes/plain-20", "shapes/plain-56"], budget=50)
    assert 'budget="' in refused.value.__notes__[0]
    assert len(trials) == 4  # each twice: the machine may have been busy for a moment


def test_a_trial_that_was_wrong_is_made_good_while_the_first_run_trains(here, monkeypatch):
    """The trial met a busy machine: ten times as slow as the run turns out to be."""
    trials, measured = [], RunQueue.measure

    def slow_once(queue, spec, **given):
        cost = measured(queue, spec, **given)
        trials.append(spec.model.name)
        return replace(cost, step=10 * cost.step) if len(trials) <= 2 else cost

    monkeypatch.setattr(RunQueue, "measure", slow_once)
    told = []
    found = short(
        iterations=8_000,
        budget="12s",
        on_event=told.append,
        changes={**CHANGES, "evaluation.every": 500},
    )
    ratios = [event.fit.ratio for event in told if isinstance(event, BudgetFitted)]
    assert len(ratios) == 2
    assert ratios[1] > 2 * ratios[0]
    assert any("planned anew" in event.text for event in told if isinstance(event, Note))
    assert trials == ["plain-8", "resnet-8", "resnet-8"]
    # Nothing is left of the run that was begun with the other ratio, and all have the same length.
    assert len(list((here / "runs").iterdir())) == 2
    assert len({run["iteration"] for one in found.contenders for run in one["runs"]}) == 1
    note = json.loads((found.out / "budget.json").read_text())
    assert note["ratio"] == ratios[1]
