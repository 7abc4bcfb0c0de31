"""A trained net is a path, a run or itself, wherever one is taken; a run knows where its images lie."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.errors import CheckpointError, DataError, UsageError
from rescli.runs.directory import RunDir
from rescli.workflows.analyze import layer_responses
from rescli.workflows.evaluate import evaluate
from rescli.workflows.export import export
from rescli.workflows.import_weights import import_weights
from rescli.workflows.listings.show import show
from rescli.workflows.load import load
from rescli.workflows.predict import predict
from rescli.workflows.results.run import Run


@pytest.fixture
def photo_run(photo_net, photo_folder, tmp_path):
    """A run directory whose images lay in ``photo_folder``."""
    run_dir = RunDir(tmp_path / "run")
    run_dir.checkpoints.mkdir(parents=True)
    shutil.copy(photo_net, run_dir.last)
    run_dir.record.write_text("{}")
    run_dir.keep_data_root(photo_folder)
    return Run(run_dir.path)


@pytest.fixture(params=["path", "text", "run", "net"])
def source(request, net8, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(net8, tmp_path / "run" / "checkpoints" / "last.safetensors")
    folder = tmp_path / "run"
    return {
        "path": lambda: folder,
        "text": lambda: str(folder),
        "run": lambda: Run(folder),
        "net": lambda: load(folder),
    }[request.param]()


def test_every_function_takes_every_source(source, tmp_path):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    assert len(predict(source, tmp_path / "a.png")) == 1
    assert evaluate(source, device="cpu").rows[0]["model"] == "resnet-8"
    assert load(source).name == "resnet-8"
    assert layer_responses(source, device="cpu").rows[0]["model"] == "resnet-8"
    assert show(source)["params"] == 75_290
    made = export(source, "torch-export", tmp_path / "net.pt2", check_images=10)
    assert made.files == [tmp_path / "net.pt2"]


def test_a_net_that_was_edited_speaks_for_no_file(net8, tmp_path):
    net = load(net8)
    with torch.no_grad():
        net.model.fc.bias.add_(1)
    for use in (
        lambda: export(net, "torch-export", tmp_path / "net.pt2"),
        lambda: layer_responses([net]),
        lambda: load(net),
        lambda: show(net),
    ):
        with pytest.raises(UsageError, match="no longer has the weights"):
            use()


def test_the_weights_of_a_loaded_net_are_exported_whatever_the_file_is_now(net8, make_checkpoint, tmp_path):
    path = shutil.copy(net8, tmp_path / "best.safetensors")
    net = load(path)
    shutil.copy(make_checkpoint("plain-14"), path)
    made = export(net, "torch-export", tmp_path / "net.pt2", check_images=10)
    assert made.facts["model"] == "resnet-8"


def test_a_folder_for_hugging_face_is_exported_again(net8, tmp_path):
    export(net8, "huggingface", tmp_path / "folder", check_images=10)
    made = export(tmp_path / "folder", "torch-export", tmp_path / "net.pt2", check_images=10)
    assert made.check["top1_agreement"] == 100


@pytest.mark.parametrize("more", [{}, {"shortcut": "A"}], ids=["as it is", "with what is known"])
def test_weights_that_were_exported_are_imported_with_their_own_normalisation(net8, tmp_path, more):
    """Their names are torchvision's, whose normalisation would be assumed otherwise."""
    export(net8, "huggingface", tmp_path / "folder", check_images=10)
    weights = tmp_path / "folder" / "model.safetensors"
    made = import_weights(weights, "resnet-8", "shapes", tmp_path / "back.safetensors", **more)
    assert (made.normalization, made.normalization_assumed) == ("per-pixel-mean", False)
    before, after = load(net8), load(tmp_path / "back.safetensors")
    images = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8).numpy()
    for image in images:
        assert after.preprocess(image).equal(before.preprocess(image))

    config = weights.with_name("config.json")
    config.write_text(config.read_text().replace('"per-pixel-mean"', '"per-pixel-men"'))
    with pytest.raises(CheckpointError, match=r"config.json is damaged"):
        import_weights(weights, "resnet-8", "shapes", tmp_path / "again.safetensors", **more)
    assert not (tmp_path / "again.safetensors").exists()


def test_a_run_knows_where_its_images_lie(photo_run, tmp_path, monkeypatch):
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    for source in (photo_run, load(photo_run)):
        assert evaluate(source, device="cpu").rows[0]["num_images"] == 12
    assert layer_responses(photo_run, device="cpu").rows[0]["num_images"] == 12
    warned = []
    made = export(photo_run, "torch-export", tmp_path / "net.pt2", check_images=10, warn=warned.append)
    assert (made.check["is_stand_in"], warned) == (False, [])


def test_a_place_that_is_given_wins_and_the_runs_wins_over_the_environment(
    photo_run, photo_folder, tmp_path, monkeypatch
):
    few = tmp_path / "few"
    shutil.copytree(photo_folder, few)
    for path in few.rglob("1.*"):
        path.unlink()
    assert evaluate(photo_run, data_root=few, device="cpu").rows[0]["num_images"] == 9
    monkeypatch.setenv("RESCLI_DATA", str(few))
    assert evaluate(photo_run, device="cpu").rows[0]["num_images"] == 12
    shutil.rmtree(photo_folder)  # the run came from another machine
    assert evaluate(photo_run, device="cpu").rows[0]["num_images"] == 9


def test_a_place_that_is_gone_is_named(photo_run, photo_folder, monkeypatch):
    """That nobody said where the images are would be wrong: the run knew, and somebody moved them."""
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    shutil.rmtree(photo_folder)
    with pytest.raises(DataError, match=f"{photo_folder}, where .* had its images, is gone"):
        evaluate(photo_run, device="cpu")


def test_a_damaged_note_is_told_and_passed_over(photo_run, monkeypatch, caplog):
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    RunDir(photo_run.path).data_root.write_text(json.dumps([]))
    with caplog.at_level(logging.WARNING), pytest.raises(DataError, match="nobody said where"):
        evaluate(photo_run, device="cpu")
    assert "data_root.json is damaged: it is a list of 0; allowed: an object" in caplog.text
