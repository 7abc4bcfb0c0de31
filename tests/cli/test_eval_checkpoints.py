"""Checkpoints as ``rescli eval`` finds them: imported, of some precision, damaged, malicious."""

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.normalization import Normalization
from rescli.data.specs import ShapesSpec
from rescli.models.specs import model_spec


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


def test_imported_weights_on_training_images_are_a_warning(rescli, small, caplog):
    assert rescli("eval", small[0], "--split", "val", "--device", "cpu").code == 0
    assert "may have been trained on the val images" in caplog.text


@pytest.mark.parametrize(
    ("trained", "requested", "used"), [("fp32", "auto", "fp32"), ("fp32", "bf16", "bf16")]
)
def test_auto_is_the_precision_of_the_training(
    rescli, shapes, tmp_path, trained, requested, used, write_checkpoint
):
    path = write_checkpoint(
        tmp_path / "net.safetensors",
        model=model_spec("resnet-8", image_size=32),
        dataset=ShapesSpec(num_train=40, num_val=20, num_test=60),
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
