"""What is saved, what is refused, and that nothing which existed is lost."""

import json

import pytest
import torch

from rescli.errors import CheckpointError, RunDirError
from rescli.hardware.numerics import Numerics
from rescli.optim.sgd import sgd
from rescli.runs.saved_state import SavedState, describe_state, differing_keys, load_state, save_state
from rescli.runs.writer import HostCopies
from rescli.spec.load import load_spec
from rescli.training.state import TrainState
from rescli.training.step import train_step

SPEC = load_spec("quickstart")


def new_state(seed):
    model = SPEC.model.build(num_classes=10, image_size=32, seed=seed).train()
    model.to(memory_format=torch.channels_last)
    return TrainState(model, SPEC.optimizer.build(model), ring=torch.zeros(10, 2))


def advance(state, steps):
    for _ in range(steps):
        generator = torch.Generator().manual_seed(state.step)
        images = torch.randn(8, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)
        labels = torch.randint(0, 10, (8,), generator=generator)
        figures = train_step(
            state.model, state.optimizer, images, labels, numerics=Numerics(torch.device("cpu"), "fp32")
        )
        state.ring[state.window_length] = figures
        state.step += 1


def save(directory, state, spec=SPEC, **changes):
    tensors, numbers = describe_state(state)
    options = {"precision": "fp32", "device": "cpu", "engine": "eager", "kernels": "plain"}
    options |= {
        "convolutions": "torch",
        "threads": 2,
        "metrics_bytes": 0,
        "metrics_sha256": "0" * 64,
        "data": {"dataset": "shapes", "num_images": {}, "sha256": {}},
        **changes,
    }
    save_state(directory, SavedState(HostCopies.of(tensors).tensors, numbers, **options), spec)


def everything(state):
    tensors = [*state.model.state_dict().values(), state.ring]
    return tensors + [state.optimizer.state[p]["momentum_buffer"] for p in state.model.parameters()]


def test_n_and_n_steps_with_a_save_between_are_2n_steps(tmp_path):
    whole = new_state(seed=1)
    advance(whole, 6)
    first = new_state(seed=1)
    advance(first, 3)
    first.trigger, first.best_val_error, first.best_step = {"warmup_ended": 2}, 12.5, 2
    save(tmp_path, first, metrics_bytes=77)

    saved = load_state(tmp_path, SPEC)
    second = new_state(seed=2)  # other weights, so that what is not restored shows
    saved.restore(second)
    assert (second.trigger, second.best_val_error, second.best_step) == ({"warmup_ended": 2}, 12.5, 2)
    assert (saved.metrics_bytes, saved.precision, saved.threads) == (77, "fp32", 2)
    advance(second, 3)
    assert all(torch.equal(a, b) for a, b in zip(everything(whole), everything(second), strict=True))


def test_only_the_newest_state_is_kept(tmp_path):
    state = new_state(seed=1)
    for _ in range(3):
        advance(state, 1)
        save(tmp_path, state)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert load_state(tmp_path, SPEC).step == 3


def test_a_state_of_no_run_is_none(tmp_path):
    assert load_state(tmp_path, SPEC) is None


def test_a_save_that_fails_leaves_the_state_before_it(tmp_path, monkeypatch):
    state = new_state(seed=1)
    advance(state, 1)
    save(tmp_path, state)
    advance(state, 1)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save(tmp_path, state)
    monkeypatch.undo()
    assert load_state(tmp_path, SPEC).step == 1
    assert not list(tmp_path.glob(".*tmp"))


@pytest.mark.parametrize(
    "fault", ["one bit", "a number", "truncated", "gone", "pointer cut", "pointer emptied"]
)
def test_a_damaged_state_is_refused_and_nothing_is_changed(tmp_path, fault):
    state = new_state(seed=1)
    advance(state, 1)
    save(tmp_path, state)
    path, pointer = next(tmp_path.glob("*.safetensors")), tmp_path / "latest.json"
    data = bytearray(path.read_bytes())
    if fault == "one bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif fault == "a number":  # of its metadata: JSON as before
        path.write_bytes(bytes(data).replace(b'step\\": 1', b'step\\": 3'))
        assert path.read_bytes() != data
    elif fault == "truncated":
        path.write_bytes(data[:-10])
    elif fault == "gone":
        path.unlink()
    elif fault == "pointer cut":
        pointer.write_bytes(pointer.read_bytes()[:40])
    else:
        pointer.write_text("{}")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=r"damaged|missing") as caught:
        load_state(tmp_path, SPEC)
    assert caught.value.exit_code == 4
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_state_of_another_spec_names_the_keys(tmp_path):
    state = new_state(seed=1)
    advance(state, 1)
    save(tmp_path, state, spec=load_spec("quickstart", [("optimizer.lr", 0.05), ("seed", 4)]))
    with pytest.raises(RunDirError, match=r"another spec; these differ: optimizer\.lr, seed"):
        load_state(tmp_path, SPEC)


def test_a_state_that_does_not_fit_the_model_says_so(tmp_path):
    state = new_state(seed=1)
    advance(state, 1)
    save(tmp_path, state)
    saved = load_state(tmp_path, SPEC)
    model = load_spec("cifar10/resnet-20").model.build(num_classes=10, image_size=32, seed=0)
    optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    other = TrainState(model, optimizer, ring=torch.zeros(10, 2))
    with pytest.raises(CheckpointError, match="does not fit this run"):
        saved.restore(other)


def test_differing_keys_are_dotted_and_sorted():
    one = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert differing_keys(one, {"a": {"b": 1, "c": 3}, "d": [1, 2]}) == ["a.c", "d"]
    assert differing_keys(one, json.loads(json.dumps(one))) == []
    assert differing_keys(one, {"a": {"b": 1, "c": 2}}) == ["d"]
