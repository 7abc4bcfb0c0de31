"""``rescli eval`` beyond the single view: protocols, ensembles, what is kept, and what is written."""

import json

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.data.shapes import make_shapes
from rescli.data.specs import ImageNetSpec, ShapesSpec
from rescli.models.specs import model_spec
from rescli.runs.checkpoint import Checkpoint
from rescli.spec.base import DatasetSpec

SMALL = {"num_train": 40, "num_val": 20, "num_test": 60}


def write_checkpoint(path, *, model, dataset, class_names, normalization, seed=0, precision="fp32"):
    net = model.build(num_classes=len(class_names), image_size=dataset.image_size, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2, generator=generator)
    Checkpoint(
        tensors=net.state_dict(),
        model=model,
        dataset=dataset,
        spec=None,
        normalization=normalization,
        class_names=class_names,
        iteration=0,
        selection="imported",
        results={},
        data={},
        precision=precision,
    ).write(path)
    return path


@pytest.fixture
def shapes():
    return make_shapes(seed=0, **SMALL, splits=("test",))["test"]


@pytest.fixture
def small(tmp_path, shapes):
    """Two checkpoints of different families on the shapes."""
    normalization = Normalization.fit(shapes.images_NHWC, "per-pixel-mean")
    return [
        write_checkpoint(
            tmp_path / f"{name}.safetensors",
            model=model_spec(name, image_size=32),
            dataset=ShapesSpec(**SMALL),
            class_names=shapes.class_names,
            normalization=normalization,
            seed=seed,
        )
        for seed, name in enumerate(("resnet-8", "plain-14"))
    ]


def logits_of(path, images_NCHW):
    with torch.inference_mode():
        return Checkpoint.read(path).build_model()(images_NCHW).double()


def error(scores, labels):
    return 100 * int((scores.argmax(1) != labels).sum()) / len(labels)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_flip_and_ensemble_equal_a_slow_average(rescli, small, shapes, average):
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
        (("--split", "all"), "unknown split"),
        (("--classes", "some"), "some"),
    ],
)
def test_bad_flags_are_exit_2_before_any_work(rescli, small, flags, reason):
    answer = rescli("eval", small[0], *flags, "--device", "cpu")
    assert answer.code == 2
    assert reason in answer.err
    assert answer.out == ""


def test_what_was_computed_once_costs_no_inference_again(rescli, small, monkeypatch):
    import rescli.runs.evaluation as evaluation

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


def test_saved_logits_give_the_printed_error(rescli, small, tmp_path):
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


WNIDS = ("n01440764", "n02102040", "n03888257")


@pytest.fixture
def photo_folder(tmp_path):
    """Two photographs for each of three of ImageNet's classes, one of them grey."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for wnid in WNIDS:
        for number, size in enumerate(((61, 40), (90, 301))):
            path = root / "val" / wnid / f"{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size)
            (image.convert("L") if number else image).save(path)
    return root


@pytest.fixture
def thousand(tmp_path):
    """A narrow ResNet-18 of ImageNet's thousand classes."""
    return write_checkpoint(
        tmp_path / "thousand.safetensors",
        model=model_spec("resnet-18", image_size=224, width=4),
        dataset=ImageNetSpec(),
        class_names=ImageNetSpec().class_names,
        normalization=Normalization("per-channel", torch.full((3, 1, 1), 0.5), torch.full((3,), 0.25)),
    )


@pytest.mark.parametrize("flag", ["--protocol=center224", "--ten-crop", "--multi-scale"])
def test_a_thousand_classes_on_three_are_scored_among_all_and_among_those(
    rescli, thousand, photo_folder, tmp_path, flag
):
    saved = tmp_path / "logits.safetensors"
    where = ("--dataset", "imagefolder", "--data-root", photo_folder, "--device", "cpu")
    answer = rescli("eval", thousand, *where, "--classes", "wnids", flag, "--save-logits", saved, "--json")
    assert answer.code == 0, answer.err
    (row,) = answer.json["results"]
    assert (row["dataset"], row["split"], row["num_images"], row["num_classes"]) == (
        "imagefolder",
        "val",
        6,
        1000,
    )
    content = load_file(saved)
    logits = content["logits"].double()
    scores = (logits if logits.ndim == 3 else logits[:, None]).softmax(2).mean(1)
    columns = [ImageNetSpec().class_names.index(wnid) for wnid in WNIDS]
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.equal(content["labels"], torch.tensor(columns)[labels])
    assert row["top1_error"] == error(scores, content["labels"])
    assert row["subset"]["num_classes"] == 3
    assert row["subset"]["top1_error"] == error(scores[:, columns], labels)
    assert row["subset"]["top5_error"] == 0
    within = scores[:, columns] / scores[:, columns].sum(1, keepdim=True)
    loss = -within.log()[torch.arange(6), labels].mean()
    assert row["subset"]["loss"] == pytest.approx(float(loss), rel=1e-5)
    with safe_open(saved, "pt") as file:
        assert json.loads(file.metadata()["file_names"])[0] == "n01440764/0.JPEG"


def test_a_subset_is_refused_unless_it_is_said(rescli, thousand, photo_folder):
    answer = rescli(
        "eval", thousand, "--dataset", "imagefolder", "--data-root", photo_folder, "--device", "cpu"
    )
    assert answer.code == 4
    assert "--classes wnids" in answer.err


def test_part_of_imagenet_is_not_imagenet(rescli, thousand, photo_folder):
    answer = rescli("eval", thousand, "--data-root", photo_folder, "--device", "cpu")
    assert answer.code == 3
    assert "1000 class folders" in answer.err
    assert "--dataset imagefolder --classes wnids" in answer.err


@pytest.mark.parametrize("fault", ["truncated", "text", "empty"])
def test_a_damaged_image_is_named_and_exit_3(rescli, thousand, photo_folder, fault):
    path = photo_folder / "val" / WNIDS[1] / "1.JPEG"
    path.write_bytes({"truncated": path.read_bytes()[:300], "text": b"not an image", "empty": b""}[fault])
    where = ("--dataset", "imagefolder", "--classes", "wnids", "--data-root", photo_folder)
    answer = rescli("eval", thousand, *where, "--device", "cpu")
    assert answer.code == 3
    assert str(path) in answer.err
    assert answer.out == ""


def test_a_folder_that_nobody_named_or_that_is_not_there_is_exit_3(rescli, thousand, tmp_path, monkeypatch):
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    answer = rescli("eval", thousand, "--dataset", "imagefolder", "--device", "cpu")
    assert answer.code == 3
    assert "--data-root" in answer.err
    answer = rescli(
        "eval", thousand, "--dataset", "imagefolder", "--data-root", tmp_path / "no", "--device", "cpu"
    )
    assert answer.code == 3


def test_a_flat_folder_is_one_split_and_small_nets_are_not_for_it(rescli, thousand, small, photo_folder):
    where = ("--dataset", "imagefolder", "--data-root", photo_folder / "val", "--device", "cpu")
    row = rescli("eval", thousand, *where, "--classes", "wnids", "--json").json["results"][0]
    assert (row["split"], row["num_images"]) == ("all", 6)
    answer = rescli("eval", small[0], *where)
    assert answer.code == 2
    assert "trained on 32x32" in answer.err


def test_a_set_with_some_of_the_classes_is_scored_by_their_names(rescli, small, shapes):
    from rescli import registry

    names = shapes.class_names[2:4]
    keep = [i for i in range(60) if shapes.class_names[shapes.labels_N[i]] in names]
    part = ImageSet(
        shapes.images_NHWC[keep], shapes.labels_N[keep] - 2, names, "part", tuple(f"{i}.png" for i in keep)
    )

    class PartSpec(DatasetSpec):
        kind: str = "part"

        @property
        def image_size(self):
            return 32

        @property
        def num_classes(self):
            return 2

        @property
        def sizes(self):
            return {"test": len(part)}

        def build(self, data_root, splits):
            return {"test": part}

    with registry.override("datasets", "part", PartSpec):
        answer = rescli(
            "eval", small[0], "--dataset", "part", "--classes", "names", "--json", "--device", "cpu"
        )
    assert answer.code == 0, answer.err
    row = answer.json["results"][0]
    x = Checkpoint.read(small[0]).normalization.apply(part.images_NHWC)
    logits = logits_of(small[0], x)
    assert row["top1_error"] == error(logits, part.labels_N + 2)
    assert row["subset"]["top1_error"] == error(logits[:, 2:4], part.labels_N)


@pytest.mark.parametrize("flag", ["--ensemble", "--save-logits=together.safetensors"])
@pytest.mark.parametrize("other", ["images", "outputs"])
def test_results_of_other_images_or_outputs_are_not_put_together(
    rescli, thousand, small, shapes, photo_folder, tmp_path, monkeypatch, flag, other
):
    monkeypatch.chdir(tmp_path)
    if other == "images":
        second = write_checkpoint(
            tmp_path / "other.safetensors",
            model=model_spec("resnet-8", image_size=32),
            dataset=ShapesSpec(**{**SMALL, "num_test": 50}),
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


@pytest.mark.parametrize("flags", [("--json",), ()])
def test_logits_that_are_not_finite_are_no_result(rescli, small, tmp_path, flags):
    checkpoint = Checkpoint.read(small[0])
    huge = torch.full_like(checkpoint.tensors["fc.weight"], 3e38)
    path = tmp_path / "huge.safetensors"
    Checkpoint(**{**vars(checkpoint), "tensors": {**checkpoint.tensors, "fc.weight": huge}}).write(path)
    for _ in range(2):  # nor are they kept
        answer = rescli("eval", path, *flags, "--device", "cpu")
        assert answer.code == 4
        assert "logits that are not finite in fp32" in answer.err
        assert answer.out == ""


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


def test_imported_weights_on_training_images_are_a_warning(rescli, small, caplog):
    assert rescli("eval", small[0], "--split", "val", "--device", "cpu").code == 0
    assert "may have been trained on the val images" in caplog.text


@pytest.mark.parametrize(
    ("trained", "requested", "used"), [("fp32", "auto", "fp32"), ("fp32", "bf16", "bf16")]
)
def test_auto_is_the_precision_of_the_training(rescli, shapes, tmp_path, trained, requested, used):
    path = write_checkpoint(
        tmp_path / "net.safetensors",
        model=model_spec("resnet-8", image_size=32),
        dataset=ShapesSpec(**SMALL),
        class_names=shapes.class_names,
        normalization=Normalization.fit(shapes.images_NHWC, "per-channel"),
        precision=trained,
    )
    row = rescli("eval", path, "--precision", requested, "--json", "--device", "cpu").json["results"][0]
    assert row["precision"] == used


class Payload:
    def __reduce__(self):
        return exec, ("open('executed', 'w').close()",)


@pytest.mark.parametrize("fault", ["truncated", "pickle", "json", "nan", "hundred classes"])
def test_a_damaged_or_malicious_checkpoint_is_exit_4_and_nothing_is_executed(
    rescli, small, tmp_path, monkeypatch, fault
):
    monkeypatch.chdir(tmp_path)
    path = small[0]
    checkpoint = Checkpoint.read(path)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif fault == "pickle":
        torch.save({"state_dict": Payload()}, path)
    elif fault == "json":
        path.write_text('{"model": "resnet-8"}')
    elif fault == "nan":
        tensors = {**checkpoint.tensors, "fc.bias": torch.full((10,), float("nan"))}
        Checkpoint(**{**vars(checkpoint), "tensors": tensors}).write(path)
    else:
        tensors = {**checkpoint.tensors, "fc.weight": torch.zeros(100, 64), "fc.bias": torch.zeros(100)}
        names = tuple(f"class {k}" for k in range(100))
        Checkpoint(**{**vars(checkpoint), "tensors": tensors, "class_names": names}).write(path)
    answer = rescli("eval", path, "--device", "cpu")
    assert answer.code == 4
    assert str(path) in answer.err
    assert answer.out == ""
    assert not (tmp_path / "executed").exists()
