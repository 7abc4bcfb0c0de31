"""What ``rescli eval`` leaves: figures by class, pictures, logits, and a line in the run's record."""

import json

import matplotlib
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from rescli.checkpoints.checkpoint import Checkpoint


def test_the_classes_add_up(rescli, small, tmp_path):
    figure = tmp_path / "confusion.png"
    answer = rescli("eval", small[0], "--per-class", "--figure", figure, "--json", "--device", "cpu")
    row = answer.json["results"][0]
    classes = row["per_class"]
    assert sum(entry["num_images"] for entry in classes) == 60
    wrong = sum(sum(e["predicted"]) - e["predicted"][k] for k, e in enumerate(classes))
    assert row["top1_error"] == pytest.approx(100 * wrong / 60)
    assert all(sum(entry["predicted"]) == entry["num_images"] for entry in classes)
    with Image.open(figure) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 500
    text = rescli("eval", small[0], "--per-class", "--device", "cpu").out
    assert all(entry["class"] in text for entry in classes)


def test_a_figure_of_several_results_is_refused_and_of_their_average_is_drawn(
    rescli, small, tmp_path, monkeypatch
):
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    figure = tmp_path / "confusion.svg"
    assert rescli("eval", *small, "--figure", figure, "--device", "cpu").code == 2
    assert rescli("eval", *small, "--figure", figure, "--ensemble", "--device", "cpu").code == 0
    assert "ensemble of 2 on shapes test" in figure.read_text()


def test_saved_logits_give_the_printed_error(rescli, small, tmp_path, error):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    row = rescli("eval", small[0], "--save-logits", one, "--json", "--device", "cpu").json["results"][0]
    saved = load_file(one)
    assert saved["logits"].shape == (60, 10)
    assert error(saved["logits"], saved["labels"]) == row["top1_error"]
    with safe_open(one, "pt") as file:
        notes = {key: json.loads(value) for key, value in file.metadata().items()}
    assert len(notes["file_names"]) == 60
    assert notes["results"][0]["sha256"] == Checkpoint.read(small[0]).sha256
    rows = rescli("eval", *small, "--ten-crop", "--save-logits", two, "--json", "--device", "cpu").json
    saved = load_file(two)
    for number, row in enumerate(rows["results"]):
        assert saved[f"logits.{number}"].shape == (60, 10, 10)
        scores = saved[f"logits.{number}"].double().softmax(2).mean(1)
        assert error(scores, saved["labels"]) == row["top1_error"]


def test_no_file_is_overwritten_by_logits(rescli, small):
    before = small[1].read_bytes()
    answer = rescli("eval", small[0], "--save-logits", small[1], "--device", "cpu")
    assert answer.code == 2
    assert small[1].read_bytes() == before


def test_files_are_written_though_nobody_reads_stdout(start_rescli, small, tmp_path):
    logits, figure = tmp_path / "logits.safetensors", tmp_path / "figure.png"
    process = start_rescli(
        "eval", small[0], "--per-class", "--save-logits", logits, "--figure", figure, "--device", "cpu"
    )
    process.stdout.close()
    process.wait(timeout=60)
    process.stderr.close()
    assert logits.is_file()
    assert figure.is_file()


def test_another_set_of_the_same_kind_is_not_the_runs_own(rescli, tiny, tmp_path):
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    path = tmp_path / "run" / "checkpoints" / "last.safetensors"
    answer = rescli("eval", path, "--dataset", "shapes", "--device", "cpu", "--json")
    assert answer.json["results"][0]["num_images"] == 2000
    assert "test" not in json.loads((tmp_path / "run" / "record.json").read_text())["results"]
    assert not (tmp_path / "run" / "test_openings.jsonl").exists()


def test_a_record_without_a_test_result_takes_one(rescli, tiny, tmp_path):
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    record = tmp_path / "run" / "record.json"
    content = json.loads(record.read_text())
    content["results"]["test"] = None
    record.write_text(json.dumps(content))
    assert rescli("eval", tmp_path / "run" / "checkpoints" / "last.safetensors", "--device", "cpu").code == 0
    assert json.loads(record.read_text())["results"]["test"]["num_images"] == 60
