"""One budget for several runs: trials and speeds are given, so that no clock decides."""

import json
import time

import pytest

import rescli.studies.shared_budget as shared_budget
from rescli.errors import CheckpointError
from rescli.runs.budget.trial import RunCost
from rescli.spec.load import load_spec
from rescli.studies.events import BudgetFitted, Note
from rescli.studies.queue import RunQueue
from rescli.studies.queued_run import QueuedRun
from rescli.studies.shared_budget import SharedBudget

SPECS = {name: [load_spec(f"shapes/{name}")] for name in ("plain-20", "plain-56")}


@pytest.fixture
def budget(tmp_path, monkeypatch):
    """``budget(seconds, step=...)``: every iteration takes ``step`` seconds in its trial."""

    def make(seconds, *, step):
        events, trials = [], []

        def measure(_queue, spec, **_):
            trials.append(spec.model.name)
            return RunCost(start=0, step=step)

        monkeypatch.setattr(RunQueue, "measure", measure)
        made = SharedBudget(seconds, tmp_path, RunQueue(None, "cpu", events.append))
        made.told, made.trials = events, trials
        return made

    return make


def test_each_different_net_is_timed_once_and_the_fit_is_kept(budget, tmp_path):
    seeds = {
        name: [spec.model_copy(update={"seed": seed}) for seed in (0, 1)] for name, (spec,) in SPECS.items()
    }
    first = budget(100, step=0.02)
    scaled = first.shorten(seeds)
    assert first.trials == ["plain-20", "plain-56"]
    assert len({spec.iterations for group in scaled.values() for spec in group}) == 1
    assert json.loads((tmp_path / "budget.json").read_text())["budget_seconds"] == 100
    again = budget(100, step=9.0)
    assert again.shorten(seeds) == scaled
    assert (again.trials, again.off_plan) == ([], None)
    (told,) = again.told
    assert isinstance(told, BudgetFitted)
    assert told.kept


@pytest.mark.parametrize(
    "damage",
    [
        lambda _note: [],
        lambda _note: "note",
        lambda _note: None,
        lambda note: {key: value for key, value in note.items() if key != "ratio"},
        lambda note: note | {"ratio": "half"},
        lambda note: note | {"ratio": None},
        lambda note: note | {"ratio": 0},
        lambda note: note | {"ratio": 2.5},
        lambda note: note | {"evaluations": "many"},
    ],
)
def test_a_damaged_note_is_named(budget, tmp_path, damage):
    budget(100, step=0.02).shorten(SPECS)
    path = tmp_path / "budget.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(CheckpointError, match=r"budget\.json is damaged") as refused:
        budget(100, step=0.02).shorten(SPECS)
    assert refused.value.hint == "delete it: the budget is fitted anew"


def test_another_budget_is_fitted_anew(budget):
    short = budget(100, step=0.02).shorten(SPECS)
    longer = budget(120, step=0.02).shorten(SPECS)
    assert longer["plain-20"][0].iterations > short["plain-20"][0].iterations


@pytest.mark.parametrize(("seconds", "off"), [(0.021, False), (0.018, False), (0.04, True), (0.005, True)])
def test_the_run_itself_says_whether_the_trial_was_right(budget, tmp_path, seconds, off):
    fitted = budget(100, step=0.02)
    scaled = fitted.shorten(SPECS)
    run = QueuedRun.below(tmp_path, scaled["plain-20"][0])
    assert fitted.off_plan(run, seconds) == off
    notes = [event.text for event in fitted.told if isinstance(event, Note)]
    assert len(notes) == off
    assert all("not the 20 ms of the trial" in note for note in notes)


def test_planned_anew_all_have_one_other_ratio_and_nobody_asks_again(budget, tmp_path):
    fitted = budget(100, step=0.2)  # a busy machine
    busy = fitted.shorten(SPECS)
    assert fitted.off_plan(QueuedRun.below(tmp_path, busy["plain-20"][0]), 0.02)
    fitted.trials.clear()
    again = fitted.shorten_again(SPECS)
    assert fitted.trials == ["plain-56"]  # of the other net the run's own speed is known
    assert again["plain-20"][0].iterations == again["plain-56"][0].iterations
    assert again["plain-20"][0].iterations > busy["plain-20"][0].iterations
    assert fitted.off_plan is None


def test_what_was_spent_is_gone(budget, monkeypatch):
    now = time.monotonic()
    fitted = budget(100, step=0.02)
    whole = fitted.shorten(SPECS)
    monkeypatch.setattr(shared_budget.time, "monotonic", lambda: now + 50)
    half = fitted.shorten_again(SPECS)
    assert half["plain-20"][0].iterations == pytest.approx(whole["plain-20"][0].iterations / 2, rel=0.02)
