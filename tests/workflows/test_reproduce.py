"""``reproduce`` as Python calls it."""

import pytest
from matplotlib.figure import Figure

from rescli.errors import UnknownNameError
from rescli.workflows.reproduce import reproduce

SMALL = {
    "data.dataset": {"kind": "shapes", "num_train": 60, "num_val": 30, "num_test": 40},
    "data.batch_size": 8,
    "model.width": 4,
    "iterations": 4,
    "evaluation.every": 2,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_trains_and_writes_nothing(here):
    found = reproduce("table6", seeds=2, dry_run=True)
    assert len(found.plan) == 12
    assert [planned.run.spec.seed for planned in found.plan] == [0] * 6 + [1] * 6
    assert (found.rows, found.figure()) == ((), None)
    assert list(here.iterdir()) == []


def test_a_table_beside_the_papers():
    found = reproduce("table6", only=["resnet-20"], changes=SMALL, device="cpu")
    (row,) = [row for row in found.rows if row["measured"]]
    assert row["label"] == "ResNet-20 A"
    assert found.not_run["ResNet-110 A"] == "left out, as asked"
    text = str(found.table()).splitlines()
    assert text[0].split() == ["net", "published", "measured", "verdict"]
    assert "8.75" in next(line for line in text if line.startswith("ResNet-20 A"))
    assert "ResNet-20 A" in found._repr_html_()


def test_a_figure_is_a_figure():
    found = reproduce("fig1", only=["plain-20"], changes=SMALL, device="cpu")
    assert isinstance(found.figure(), Figure)
    assert found.out.joinpath("fig1.svg").is_file()


def test_an_unknown_net_says_which_there_are():
    with pytest.raises(UnknownNameError, match="ResNet-20 A"):
        reproduce("table6", only=["plain-20"])
