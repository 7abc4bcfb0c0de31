"""``rescli eval`` of photographs, and of a net on some of its classes."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.image_set import ImageSet
from rescli.data.specs import ImageNetSpec
from rescli.spec.base import DatasetSpec


@pytest.mark.parametrize("flag", ["--protocol=center224", "--ten-crop", "--multi-scale"])
def test_a_thousand_classes_on_three_are_scored_among_all_and_among_those(
    rescli, thousand, photo_folder, tmp_path, flag, error
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
    columns = [ImageNetSpec().class_names.index(wnid) for wnid in sorted(os.listdir(photo_folder / "val"))]
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.equal(content["labels"], torch.tensor(columns)[labels])
    assert row["top1_error"] == error(scores, content["labels"])
    assert row["subset"]["num_classes"] == 3
    assert row["subset"]["top1_error"] == error(scores[:, columns], labels)
    assert row["subset"]["top5_error"] is None
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
    assert "1,000 class folders" in answer.err
    assert "--dataset imagefolder --classes wnids" in answer.err


@pytest.mark.parametrize("fault", ["truncated", "text", "empty"])
def test_a_damaged_image_is_named_and_exit_3(rescli, thousand, photo_folder, fault):
    path = photo_folder / "val" / "n02102040" / "1.JPEG"
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


def test_a_set_with_some_of_the_classes_is_scored_by_their_names(rescli, small, shapes, logits_of, error):
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
