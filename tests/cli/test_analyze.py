import json

import pytest
from PIL import Image


@pytest.fixture
def run(rescli, tiny, tmp_path):
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    return tmp_path / "run"


def test_responses_of_checkpoints_are_listed_and_drawn(rescli, run, tmp_path):
    paths = [run / "checkpoints" / f"{name}.safetensors" for name in ("last", "best")]
    figure = tmp_path / "fig7.png"
    answer = rescli("analyze", "responses", *paths, "--figure", figure, "--json", "--device", "cpu")
    assert answer.code == 0, answer.err
    first, second = answer.json["results"]
    assert (first["split"], first["num_images"], len(first["layers"])) == ("val", 50, 7)
    assert first["mean_std"] == pytest.approx(sum(layer["std"] for layer in first["layers"]) / 7)
    assert second["checkpoint"] == str(paths[1])
    with Image.open(figure) as picture:
        assert picture.format == "PNG"
    text = rescli("analyze", "responses", paths[0], "--device", "cpu").out
    assert "layer3.0.conv2" in text


def test_the_test_set_stays_sealed(rescli, run):
    path = run / "checkpoints" / "last.safetensors"
    assert rescli("analyze", "responses", path, "--device", "cpu").code == 0
    assert not (run / "test_openings.jsonl").exists()
    answer = rescli("analyze", "responses", path, "--split", "test", "--device", "cpu")
    assert answer.code == 0
    (opening,) = (run / "test_openings.jsonl").read_text().splitlines()
    assert json.loads(opening)["protocol"] == "responses"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--figure", "x.txt"), 2),
        (("--figure", "no/x.png"), 2),
        (("--split", "all"), 2),
        (("--device", "tpu"), 2),
    ],
)
def test_bad_flags(rescli, run, flags, code):
    path = run / "checkpoints" / "last.safetensors"
    answer = rescli("analyze", "responses", path, *flags)
    assert (answer.code, answer.out) == (code, "")


def test_a_missing_or_damaged_checkpoint_is_exit_4(rescli, tmp_path):
    assert rescli("analyze", "responses", tmp_path / "no.safetensors").code == 4
    (tmp_path / "bad.safetensors").write_bytes(b"{}")
    assert rescli("analyze", "responses", tmp_path / "bad.safetensors").code == 4
