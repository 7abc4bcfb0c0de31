"""``evaluate`` from Python: the command line's rows, and the test set sealed until it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rescli.errors import CheckpointError, UsageError
from rescli.workflows.evaluate import evaluate
from rescli.workflows.load import load

Rescli = Callable[..., Any]


@pytest.fixture
def run(rescli: Rescli, tiny: list[str], tmp_path: Path) -> Path:
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    return tmp_path / "run"


def test_the_test_set_is_opened_only_where_it_is_named(run: Path) -> None:
    found = evaluate(run, device="cpu")
    assert (found.rows[0]["split"], found.rows[0]["num_images"]) == ("val", 50)
    assert not (run / "test_openings.jsonl").exists()
    assert evaluate(run, split="test", device="cpu").rows[0]["split"] == "test"
    assert len((run / "test_openings.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("flags", [(), ("--per-class",)])
def test_the_rows_are_those_of_the_command_line(rescli: Rescli, net8: Path, flags: tuple[str, ...]) -> None:
    printed = rescli("eval", net8, "--split", "val", "--ten-crop", *flags, "--json", "--device", "cpu").json
    found = evaluate(net8, protocol="ten-crop", device="cpu")
    again = found.to_json(by_class=bool(flags))
    assert [{**row, "cached": False} for row in again["results"]] == printed["results"]
    assert list(again["results"][0]) == list(printed["results"][0])


def test_a_loaded_net_and_its_file_agree(net8: Path) -> None:
    net = load(net8)
    assert (
        evaluate(net, device="cpu").rows[0]["top1_error"]
        == evaluate(net8, device="cpu").rows[0]["top1_error"]
    )


def test_a_net_whose_weights_were_changed_does_not_speak_for_its_checkpoint(net8: Path) -> None:
    net = load(net8)
    with torch.no_grad():
        net.model.fc.bias.add_(1)  # type: ignore[union-attr, operator]
    with pytest.raises(UsageError, match=r"no longer has the weights of .*: fc\.bias is another"):
        evaluate(net, device="cpu")


def test_several_nets_and_their_ensemble(net8: Path, make_checkpoint: Callable[..., Path]) -> None:
    started: list[str] = []
    seen: list[str] = []
    found = evaluate(
        [net8, make_checkpoint("plain-14")],
        ensemble=True,
        device="cpu",
        on_start=started.append,
        on_result=lambda result: seen.append(result.row["model"]),
    )
    assert [row["model"] for row in found.rows] == ["resnet-8", "plain-14", "ensemble of 2"] == seen
    assert len(started) == 2
    assert found._repr_html_().count("<tr>") == 4
    assert [row[0].text for row in found.table().rows] == ["resnet-8", "plain-14", "ensemble of 2"]
    assert str(found) == found.text()
    head, first, *_ = repr(found).splitlines()
    assert head == "Evaluation of 3 nets"
    assert first.strip().startswith("resnet-8, shapes val, single: ")
    assert repr(found.results).count("NetResult(") == 3
    assert len(repr(found.results)) < 500
    assert found.confusion_figure().axes[0].get_xlabel() == "predicted class"
    with pytest.raises(UsageError, match="one was given"):
        evaluate(net8, ensemble=True)


def test_what_was_measured_before_an_error_was_handed_over(net8: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    seen: list[object] = []
    with pytest.raises(CheckpointError):
        evaluate([net8, tmp_path / "broken.safetensors"], device="cpu", on_result=seen.append)
    assert len(seen) == 1


def test_mistakes_are_the_wrong_ones_and_the_most_confident_come_first(net8: Path) -> None:
    found = evaluate(net8, device="cpu")
    mistakes = found.mistakes()
    result = found.results[0]
    scores = result.log_probabilities_NK
    wrong = (scores.argmax(1) != result.labels_N).nonzero()[:, 0].tolist()
    assert sorted(one.index for one in mistakes) == wrong
    assert found.rows[0]["top1_error"] == pytest.approx(100 * len(wrong) / 60)
    assert [one.probability for one in mistakes] == sorted(
        (one.probability for one in mistakes), reverse=True
    )
    first = mistakes[0]
    assert first.predicted == result.class_names[int(scores[first.index].argmax())]
    assert first.true == result.class_names[int(result.labels_N[first.index])]
    assert first.probability == pytest.approx(float(scores[first.index].max().exp()))
    texts = [text.get_text() for text in found.mistakes_figure(most=5).axes[0].texts]
    assert f"5 of {len(wrong)} mistakes" in texts[0]
    assert texts[1] == f"{first.predicted} {first.probability:.0%}"
    assert texts[2].startswith(f"true: {first.true}")
    assert len(texts) == 1 + 5 * 3


def test_a_notebook_shows_a_bar_while_images_are_looked_at(notebook_cell: Any, net8: Path) -> None:
    evaluate(net8, device="cpu", progress=False)
    evaluate(net8, device="cpu")  # from the logits that were kept
    assert notebook_cell.outputs == []
    evaluate(net8, device="cpu", cache=False)
    assert "60/60" in notebook_cell.seen
    assert "60/60" not in notebook_cell.left
