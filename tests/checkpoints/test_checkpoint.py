import hashlib
import json
import pickle
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rescli.checkpoints.checkpoint import Checkpoint, read_tensors
from rescli.checkpoints.header import CheckpointHeader
from rescli.checkpoints.metadata import OTHER_COPY
from rescli.checkpoints.serialise import serialise
from rescli.data.normalization import Normalization
from rescli.errors import CheckpointError
from rescli.spec.load import load_spec


@pytest.fixture
def checkpoint():
    spec = load_spec("quickstart")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 32, 32, 3), dtype=torch.uint8, generator=generator)
    model = spec.model.build(num_classes=10, image_size=32, seed=7)
    return Checkpoint(
        tensors=model.state_dict(),
        model=spec.model,
        dataset=spec.data.dataset,
        spec=spec,
        normalization=Normalization.fit(images, "per-pixel-mean"),
        class_names=tuple(f"class {k}" for k in range(10)),
        iteration=123,
        selection="last",
        results={"val": {"top1_error": 12.5}},
        data={"dataset": "shapes"},
        precision="fp32",
    )


def test_everything_comes_back_bit_for_bit(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    back = Checkpoint.read(tmp_path / "a.safetensors")
    assert {n: t.tolist() for n, t in back.tensors.items()} == {
        n: t.tolist() for n, t in checkpoint.tensors.items()
    }
    assert torch.equal(back.normalization.mean_CHW, checkpoint.normalization.mean_CHW)
    for name in (
        "model",
        "dataset",
        "spec",
        "class_names",
        "iteration",
        "selection",
        "results",
        "data",
        "precision",
    ):
        assert getattr(back, name) == getattr(checkpoint, name), name


def test_anybody_can_read_it_without_rescli(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    assert set(load_file(tmp_path / "a.safetensors")) == set(checkpoint.tensors)
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["spec"])["model"]["depth"] == checkpoint.spec.model.depth
    assert json.loads(metadata["iteration"]) == 123


def test_the_model_gives_the_same_logits(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    images = torch.randn(4, 3, 32, 32)
    one = checkpoint.build_model()
    other = Checkpoint.read(tmp_path / "a.safetensors").build_model()
    with torch.inference_mode():
        assert torch.equal(one(images), other(images))


def damage(path, kind):
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "json":
        path.write_text(json.dumps({"weights": [1, 2, 3]}))
    elif kind == "huge header":
        path.write_bytes(b"\xff" * 8 + bytes(data[8:]))


@pytest.mark.parametrize("kind", ["truncated", "empty", "json", "huge header"])
def test_a_damaged_file_is_named_not_guessed_at(checkpoint, tmp_path, kind):
    path = tmp_path / "a.safetensors"
    checkpoint.write(path)
    damage(path, kind)
    with pytest.raises(CheckpointError, match=r"a\.safetensors is not a whole safetensors file") as caught:
        Checkpoint.read(path)
    assert caught.value.hint == OTHER_COPY
    with pytest.raises(CheckpointError) as caught:
        CheckpointHeader.read(path)
    assert caught.value.hint == OTHER_COPY


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the payload ran')",))


def test_a_pickle_is_refused_and_its_payload_does_not_run(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError):
        Checkpoint.read(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Checkpoint.read(tmp_path / "a.safetensors")


def test_tensors_without_a_spec_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no rescli model"):
        Checkpoint.read(tmp_path / "a.safetensors")


def rewrite(path, **metadata):
    """As a program that knows nothing of rescli writes it, or an earlier rescli: without content_sha256."""
    with safe_open(path, framework="pt") as file:
        before = dict(file.metadata())
    del before["content_sha256"]
    save_file(load_file(path), path, {**before, **metadata})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"spec": "{"}, "metadata is damaged"),
        ({"spec": '{"iterations": 5}'}, "metadata is damaged"),
        ({"model": '{"kind": "unheard-of"}'}, "metadata is damaged.*unheard-of"),
        ({"dataset": '{"kind": "shapes", "num_train": -1}'}, "metadata is damaged"),
        ({"iteration": '"many"'}, "metadata is damaged"),
        ({"normalization": '{"kind": "per-pixel-mean"}'}, "normali"),
        ({"format_version": "99"}, "has format 99; this rescli reads 1"),
    ],
)
def test_damaged_metadata_is_named(checkpoint, tmp_path, changed, says):
    checkpoint.write(tmp_path / "a.safetensors")
    rewrite(tmp_path / "a.safetensors", **changed)
    with pytest.raises(CheckpointError, match=says) as caught:
        Checkpoint.read(tmp_path / "a.safetensors")
    assert caught.value.hint == ("install a newer rescli" if "format" in says else OTHER_COPY)


def test_weights_that_are_not_finite_are_refused(checkpoint, tmp_path):
    checkpoint.tensors["fc.bias"][3] = float("nan")
    checkpoint.write(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"tensor fc\.bias holds numbers that are not finite"):
        Checkpoint.read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("fault", ["missing", "extra", "misshapen"])
def test_weights_that_do_not_fit_are_named(checkpoint, fault):
    if fault == "missing":
        del checkpoint.tensors["fc.bias"]
    elif fault == "extra":
        checkpoint.tensors["fc.extra"] = torch.zeros(1)
    else:
        checkpoint.tensors["fc.bias"] = torch.zeros(100)
    with pytest.raises(CheckpointError, match=r"do not fit resnet-8: .*fc\.(bias|extra)") as caught:
        checkpoint.build_model()
    assert caught.value.exit_code == 4


def test_weights_that_do_not_fit_are_named_with_their_file(checkpoint, tmp_path):
    path = tmp_path / "net.safetensors"
    for name, tensor in (("fc.extra", torch.zeros(1)), ("fc.bias", torch.zeros(100))):
        checkpoint.tensors[name] = tensor
        checkpoint.write(path)
        with pytest.raises(CheckpointError, match=f"^{path}: the weights do not fit resnet-8"):
            Checkpoint.read(path).build_model()
        del checkpoint.tensors[name]


def test_the_same_checkpoint_is_the_same_file_to_the_last_byte(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    # The order of the library's metadata changes from call to call: ten times the same is no accident.
    for _ in range(10):
        Checkpoint.read(tmp_path / "a.safetensors").write(tmp_path / "b.safetensors")
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_hash_of_the_content_by_another_reader(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    kinds = {"float32": "F32", "int64": "I64"}
    written = json.loads(metadata.pop("content_sha256"))
    listed = [[name, kinds[str(a.dtype)], list(a.shape)] for name, a in sorted(arrays.items())]
    said = json.dumps([metadata, listed], separators=(",", ":"), sort_keys=True).encode()
    bytes_of = [array.tobytes() for _, array in sorted(arrays.items())]
    assert written == hashlib.sha256(said + b"".join(bytes_of)).hexdigest()


def test_a_checkpoint_without_a_hash_of_its_content_is_read(checkpoint, tmp_path):
    checkpoint.write(tmp_path / "a.safetensors")
    rewrite(tmp_path / "a.safetensors")
    assert Checkpoint.read(tmp_path / "a.safetensors").iteration == 123
    assert CheckpointHeader.read(tmp_path / "a.safetensors").metadata["iteration"] == 123


def flip(path, at, bit=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


@pytest.mark.parametrize("read", [Checkpoint.read, CheckpointHeader.read, read_tensors])
@pytest.mark.parametrize("place", ["a tensor", "the last byte", "the metadata"])
def test_one_flipped_bit_is_seen(checkpoint, tmp_path, place, read):
    path = tmp_path / "a.safetensors"
    checkpoint.write(path)
    data = path.read_bytes()
    middle = (8 + int.from_bytes(data[:8], "little") + len(data)) // 2
    # 12.5 becomes 13.5: JSON as before, and figures that nobody measured.
    where = {"a tensor": middle, "the last byte": len(data) - 1, "the metadata": data.index(b"12.5") + 1}
    flip(path, where[place])
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged: its content") as caught:
        read(path)
    assert caught.value.exit_code == 4
    assert "copy it again" in caught.value.hint


def test_no_flipped_bit_of_a_file_passes_for_another_content(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"b": torch.arange(3.0), "a": torch.arange(4, 7.0), "c": torch.tensor([[1, 2], [3, 4]])}
    whole = b"".join(serialise(tensors, {"model": "{}", "iteration": "7"}))
    content = {name: tensor.tolist() for name, tensor in tensors.items()}
    passed = []
    for at in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole)
            flip(path, at, bit)
            try:
                found, texts, _ = read_tensors(path)
            except CheckpointError:
                continue
            assert {name: t.tolist() for name, t in found.items()} == content
            assert (texts["model"], texts["iteration"]) == ("{}", "7")
            passed.append(at)
    # What passes stands in the name of the hash, or in the blanks behind the header.
    end = 8 + int.from_bytes(whole[:8], "little")
    name = whole.index(b"content_sha256")
    blanks = whole[:end].rstrip()
    assert set(passed) <= {*range(name, name + len("content_sha256")), *range(len(blanks), end)}


def test_tensors_of_no_layer_are_refused_before_each_layer_looks_for_them(checkpoint):
    checkpoint.tensors.update({f"layer{n:05}.weight": torch.zeros(0) for n in range(20_000)})
    del checkpoint.tensors["fc.bias"]
    began = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.build_model()
    assert time.process_time() - began < 5
    assert str(caught.value).endswith(
        "missing: fc.bias; of no layer: layer00000.weight, layer00001.weight, layer00002.weight, ... "
        "(20,000 tensors)"
    )
