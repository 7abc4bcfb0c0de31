"""``rescli eval`` beyond the single view: protocols, ensembles, and what is kept."""

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.normalization import Normalization
from rescli.data.specs import ImageNetSpec, ShapesSpec
from rescli.models.specs import model_spec


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_flip_and_ensemble_equal_a_slow_average(rescli, small, shapes, average, logits_of, error):
    answer = rescli("eval", *small, "--flip", "--ensemble", "--average", average, "--json", "--device", "cpu")
    assert answer.code == 0, answer.err
    rows = answer.json["results"]
    x = Checkpoint.read(small[0]).normalization.apply(shapes.images_NHWC)
    views = [torch.stack([logits_of(path, x), logits_of(path, x.flip(3))]) for path in small]
    if average == "probabilities":
        scores = [one.softmax(2).mean(0) for one in views]
        together = sum(scores) / 2
    else:
        scores = [one.mean(0) for one in views]
        together = (sum(scores) / 2).softmax(1)
    expected = [error(one, shapes.labels_N) for one in (*scores, together)]
    assert [row["top1_error"] for row in rows] == expected
    losses = -together.log()[torch.arange(60), shapes.labels_N]
    assert rows[2]["loss"] == pytest.approx(float(losses.mean()), abs=1e-5)
    assert [row["protocol"] for row in rows] == ["flip"] * 3
    assert rows[0]["average"] == average
    assert rows[2]["model"] == "ensemble of 2"
    assert rows[2]["checkpoint"] == [str(path) for path in small]


@pytest.mark.parametrize(("flag", "views"), [("--flip", 2), ("--ten-crop", 10), ("--multi-scale", 6)])
def test_every_choice_is_printed_beside_the_result(rescli, small, flag, views):
    row = rescli("eval", small[0], flag, "--json", "--device", "cpu").json["results"][0]
    assert (row["protocol"], row["num_views"], row["average"]) == (flag[2:], views, "probabilities")
    assert set(row["views"]) == {
        *("shorter_sides", "pad", "crop", "positions", "flip", "window", "interpolation")
    }
    text = rescli("eval", small[0], flag, "--device", "cpu").out
    assert f"protocol {flag[2:]}: " in text
    assert f"{views} views; average of probabilities" in text


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--flip", "--ten-crop"), "one protocol at a time"),
        (("--ten-crop", "--protocol", "flip"), "one protocol at a time"),
        (("--protocol", "tencrop"), "Did you mean 'ten-crop'"),
        (("--protocol", "center224"), "not for 32x32 images"),
        (("--average", "votes"), "votes"),
        (("--ensemble",), "one was given"),
        (("--figure", "picture.bmp"), ".png"),
        (("--figure", "nowhere/picture.png"), "no such folder: nowhere"),
        (("--save-logits", "logits.npz"), ".safetensors"),
        (("--save-logits", "nowhere/logits.safetensors"), "no such folder: nowhere"),
        (("--dataset", "cifar1"), "Did you mean 'cifar10'"),
        (("--split", "all"), "shapes has no images for all; it has train, val, test"),
        (("--classes", "some"), "some"),
    ],
)
def test_bad_flags_are_exit_2_before_any_work(rescli, small, flags, reason):
    answer = rescli("eval", small[0], *flags, "--device", "cpu")
    assert answer.code == 2
    assert reason in answer.err
    assert answer.out == ""


def test_what_was_computed_once_costs_no_inference_again(rescli, small, monkeypatch):
    import rescli.evaluation.logits.inference as evaluation

    first = rescli("eval", *small, "--ten-crop", "--json", "--device", "cpu").json["results"]
    assert [row["cached"] for row in first] == [False, False]
    real = evaluation.predict_views

    def refuse(*_, **__):
        raise AssertionError("inference")

    monkeypatch.setattr(evaluation, "predict_views", refuse)
    for flags in (("--ensemble",), ("--average", "logits"), ("--per-class",), ("--batch-size", 7)):
        answer = rescli("eval", *small, "--ten-crop", *flags, "--json", "--device", "cpu")
        assert answer.code == 0, answer.err
        assert all(row.get("cached", True) for row in answer.json["results"])
    again = rescli("eval", *small, "--ten-crop", "--json", "--device", "cpu").json["results"]
    assert [{**row, "cached": False} for row in again] == first
    monkeypatch.setattr(evaluation, "predict_views", real)
    fresh = rescli("eval", *small, "--ten-crop", "--no-cache", "--json", "--device", "cpu").json["results"]
    assert [(row["top1_error"], row["cached"]) for row in fresh] == [(r["top1_error"], False) for r in first]


@pytest.mark.parametrize("flag", ["--ensemble", "--save-logits=together.safetensors"])
@pytest.mark.parametrize("other", ["images", "outputs"])
def test_results_of_other_images_or_outputs_are_not_put_together(
    rescli, thousand, small, shapes, photo_folder, tmp_path, monkeypatch, flag, other, write_checkpoint
):
    monkeypatch.chdir(tmp_path)
    if other == "images":
        second = write_checkpoint(
            tmp_path / "other.safetensors",
            model=model_spec("resnet-8", image_size=32),
            dataset=ShapesSpec(num_train=40, num_val=20, num_test=50),
            class_names=shapes.class_names,
            normalization=Normalization.fit(shapes.images_NHWC, "per-channel"),
        )
        given = (small[0], second)
    else:
        names = list(ImageNetSpec().class_names)
        names[5], names[6] = names[6], names[5]
        second = tmp_path / "other.safetensors"
        Checkpoint(**{**vars(Checkpoint.read(thousand)), "class_names": tuple(names)}).write(second)
        where = ("--dataset", "imagefolder", "--data-root", photo_folder, "--classes", "wnids")
        given = (thousand, second, *where)
    answer = rescli("eval", *given, flag, "--device", "cpu")
    assert answer.code == 2
    assert f"different {other}" in answer.err
    assert answer.out.count("top-1 error") == 1  # what was measured is printed
    assert not (tmp_path / "together.safetensors").exists()


def test_the_same_net_twice_is_no_ensemble(rescli, small, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(small[0].read_bytes())
    answer = rescli("eval", small[0], copy, "--ensemble", "--device", "cpu")
    assert answer.code == 2
    assert "the same net" in answer.err
