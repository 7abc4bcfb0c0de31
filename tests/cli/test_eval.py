import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.shapes.images import make_shapes
from rescli.runs.directory import RunDir


@pytest.fixture
def run(rescli, tiny, tmp_path):
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    return tmp_path / "run"


def test_the_test_error_is_that_of_a_plain_loop_over_the_checkpoint(rescli, run):
    path = run / "checkpoints" / "last.safetensors"
    answer = rescli("eval", path, "--json", "--device", "cpu", "--precision", "fp32")
    assert answer.code == 0, answer.err
    (result,) = answer.json["results"]
    # Second formula: one image after the other, normalised by hand.
    checkpoint = Checkpoint.read(path)
    images = make_shapes(seed=0, num_train=200, num_val=50, num_test=60, splits=("test",))["test"]
    model, wrong = checkpoint.build_model(), 0
    with torch.inference_mode():
        for image, label in zip(images.images_NHWC, images.labels_N, strict=True):
            x = image.permute(2, 0, 1).double() / 255 - checkpoint.normalization.mean_CHW.double()
            wrong += int(model(x[None].float()).argmax() != label)
    assert result["num_images"] == 60
    assert result["top1_error"] == pytest.approx(100 * wrong / 60)
    assert result["protocol"] == "single"
    assert result["selection"] == "last"
    low, high = result["interval95"]
    assert low < result["top1_error"] < high


def openings(run):
    path = run / "test_openings.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("order", [("last", "best"), ("best", "last")])
def test_opening_the_test_set_is_written_into_the_run(rescli, run, order):
    for name in order:
        assert rescli("eval", run / "checkpoints" / f"{name}.safetensors", "--device", "cpu").code == 0
    assert [opening["checkpoint"] for opening in openings(run)] == [f"{name}.safetensors" for name in order]
    # Whatever the order: the last weights' error on top, the best ones' below it.
    test = json.loads((run / "record.json").read_text())["results"]["test"]
    assert test["selection"] == "last"
    assert test["best_val"]["selection"] == "best-val"


def test_a_run_that_is_in_use_is_evaluated_and_the_opening_is_written(rescli, run, caplog):
    with RunDir(run).locked():
        answer = rescli("eval", run / "checkpoints" / "last.safetensors", "--json", "--device", "cpu")
    assert answer.code == 0
    assert answer.json["results"][0]["num_images"] == 60
    assert len(openings(run)) == 1
    assert "not in the run's record" in caplog.text


def test_a_bit_that_flipped_in_a_weight_is_exit_4_before_anything_is_opened(rescli, run):
    path = run / "checkpoints" / "last.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    answer = rescli("eval", path, "--json", "--device", "cpu")
    assert answer.code == 4
    assert f"{path} is damaged: its content is not what was written" in answer.err
    assert "copy it again from where it came" in answer.err
    assert openings(run) == []


@pytest.mark.parametrize(
    "content", ["", "[]", '{"results": {"test": 3}}', '{"results": {"test": {"best_val": 3}}}']
)
def test_a_damaged_record_costs_no_figures_and_is_left_as_it_is(rescli, run, caplog, content):
    (run / "record.json").write_text(content)
    answer = rescli("eval", run / "checkpoints" / "last.safetensors", "--json", "--device", "cpu")
    assert answer.code == 0
    assert answer.json["results"][0]["num_images"] == 60
    assert "the result is not in the run's record" in caplog.text
    assert "record.json is damaged" in caplog.text
    assert (run / "record.json").read_text() == content


def test_what_was_measured_before_an_error_is_printed(rescli, run, tmp_path):
    broken = tmp_path / "broken.safetensors"
    whole = bytearray((run / "checkpoints" / "last.safetensors").read_bytes())
    whole[-1] ^= 1  # found out when its turn comes
    broken.write_bytes(whole)
    answer = rescli("eval", run / "checkpoints" / "last.safetensors", broken, "--json", "--device", "cpu")
    assert answer.code == 4
    assert len(answer.json["results"]) == 1


def test_other_images_than_those_of_the_run_are_refused(rescli, run, monkeypatch):
    import rescli.data.shapes.images as shapes

    real = shapes.make_shapes
    monkeypatch.setattr(shapes, "make_shapes", lambda *, seed, **options: real(seed=seed + 1, **options))
    answer = rescli("eval", run / "checkpoints" / "last.safetensors", "--split", "val", "--device", "cpu")
    assert answer.code == 3
    assert "fingerprints differ" in answer.err


def test_the_val_figures_are_those_of_the_training_run_and_open_nothing(rescli, run):
    answer = rescli(
        "eval", run / "checkpoints" / "last.safetensors", "--split", "val", "--json", "--device", "cpu"
    )
    record = json.loads((run / "record.json").read_text())
    assert answer.json["results"][0]["top1_error"] == record["results"]["val"]["top1_error"]
    assert openings(run) == []


def test_several_checkpoints_give_a_table(rescli, run):
    paths = [run / "checkpoints" / f"{name}.safetensors" for name in ("last", "best")]
    answer = rescli("eval", *paths, "--split", "train", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "best-val" in answer.out
    assert "protocol single" in answer.out


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
def test_the_batch_size_changes_no_count(rescli, run, batch_size):
    path = run / "checkpoints" / "last.safetensors"
    flags = ["--no-cache", "--json", "--device", "cpu", "--precision", "fp32", "--batch-size", batch_size]
    (result,) = rescli("eval", path, *flags).json["results"]
    (reference,) = rescli("eval", path, *flags[:-1], 500).json["results"]
    assert (result["top1_error"], result["num_images"]) == (reference["top1_error"], 60)


def test_a_checkpoint_away_from_its_run_needs_nothing_else(rescli, run, tmp_path):
    alone = tmp_path / "elsewhere.safetensors"
    (run / "checkpoints" / "last.safetensors").rename(alone)
    assert rescli("eval", alone, "--device", "cpu").code == 0


def test_a_hundred_classes_on_ten_are_refused(rescli, run, tmp_path):
    path = tmp_path / "other.safetensors"
    checkpoint = Checkpoint.read(run / "checkpoints" / "last.safetensors")
    tensors = {**checkpoint.tensors, "fc.weight": torch.zeros(100, 64), "fc.bias": torch.zeros(100)}
    names = tuple(f"class {k}" for k in range(100))
    Checkpoint(**{**vars(checkpoint), "tensors": tensors, "class_names": names}).write(path)
    answer = rescli("eval", path, "--device", "cpu")
    assert answer.code == 4
    assert "knows 100 classes, the data set has 10" in answer.err


@pytest.mark.parametrize("fault", ["missing", "truncated", "no spec"])
def test_a_damaged_checkpoint_is_exit_4(rescli, run, fault):
    path = run / "checkpoints" / "last.safetensors"
    if fault == "missing":
        path.unlink()
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        save_file(load_file(path), path)
    answer = rescli("eval", path)
    assert answer.code == 4
    assert str(path) in answer.err
    assert answer.out == ""


def test_bad_flags_are_exit_2(rescli, run):
    path = run / "checkpoints" / "last.safetensors"
    assert rescli("eval", path, "--batch-size", 0).code == 2
    assert rescli("eval", path, "--split", "dev").code == 2
    assert rescli("eval", path, "--device", "tpu").code == 2
    assert rescli("eval").code == 2
