from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.data.augment import crop_flip_parameters
from rescli.data.image_set import ImageSet
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.order import batch_indices


def make_loader(image_set: ImageSet, **changes: Any) -> DeviceLoader:
    normalization = Normalization.fit(image_set.images_NHWC, "per-pixel-mean")
    given: dict[str, Any] = {"batch_size": 6, "seed": 0, "device": "cpu", "pad": 2, "flip": True}
    return DeviceLoader(image_set, normalization, **{**given, **changes})


class Recorder(TorchDispatchMode):
    """The names of the operations run inside the ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_without_augmentation_shows_the_images_in_order(image_set: ImageSet) -> None:
    loader = make_loader(image_set, pad=0, flip=False)
    normalization = Normalization.fit(image_set.images_NHWC, "per-pixel-mean")
    for step in range(8):
        images, labels = loader.batch(step)
        indices, _ = batch_indices(step, batch_size=6, num_images=20, seed=0)
        assert images.equal(normalization.apply(image_set.images_NHWC[indices]))
        assert labels.equal(image_set.labels_N[indices])
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_no_step_waits_and_no_image_is_damaged(image_set: ImageSet) -> None:
    loader = make_loader(image_set)
    loader.batch(0)
    assert (loader.waited_seconds, loader.damaged) == (None, set())


def test_augmented_batch_pixel_by_pixel(image_set: ImageSet) -> None:
    images, _ = make_loader(image_set).batch(3)
    indices, slots = batch_indices(3, batch_size=6, num_images=20, seed=0)
    plain = Normalization.fit(image_set.images_NHWC, "per-pixel-mean").apply(image_set.images_NHWC)
    for k, (dy, dx, flip) in enumerate(zip(*crop_flip_parameters(slots, seed=0, pad=2), strict=True)):
        padded = torch.nn.functional.pad(plain[indices[k]], (2, 2, 2, 2))
        if flip:
            padded = padded.flip(2)
        assert images[k].equal(padded[:, int(dy) : int(dy) + 8, int(dx) : int(dx) + 8])


@pytest.mark.parametrize("batch_size", [1, 6, 20, 50])
def test_batch_is_a_pure_function_of_the_step(image_set: ImageSet, batch_size: int) -> None:
    forward = make_loader(image_set, batch_size=batch_size)
    expected = [forward.batch(step) for step in range(10)]
    for step in (7, 0, 9, 3, 3):
        images, labels = make_loader(image_set, batch_size=batch_size).batch(step)
        assert images.equal(expected[step][0])
        assert labels.equal(expected[step][1])
        again_images, again_labels = forward.batch(step)
        assert again_images.equal(images)
        assert again_labels.equal(labels)


def test_batch_may_be_larger_than_the_set(image_set: ImageSet) -> None:
    images, labels = make_loader(image_set, batch_size=50).batch(0)
    assert images.shape == (50, 3, 8, 8)
    # Two whole epochs of two images per class, and a half.
    assert labels[:40].bincount().tolist() == [4] * 10


def test_an_image_is_augmented_anew_in_each_epoch(image_set: ImageSet) -> None:
    images, labels = make_loader(image_set, batch_size=20, pad=4).batch(0)
    later_images, later_labels = make_loader(image_set, batch_size=20, pad=4).batch(1)
    same = [
        images[i].equal(later_images[j]) for i in range(20) for j in range(20) if labels[i] == later_labels[j]
    ]
    assert sum(same) <= 2


def test_no_operation_reads_back_to_the_host(image_set: ImageSet) -> None:
    loader = make_loader(image_set)
    with Recorder() as recorder:
        for step in range(10):
            loader.batch(step)
    assert recorder.names
    for name in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"):
        assert not any(name in called for called in recorder.names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
def test_cuda_gives_the_same_bits_without_a_sync(image_set: ImageSet) -> None:
    on_cpu = make_loader(image_set)
    on_cuda = make_loader(image_set, device="cuda")
    try:
        torch.cuda.set_sync_debug_mode("error")  # warns once it is set: every later test would have it too
        batches = [on_cuda.batch(step) for step in range(20)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for step, (images, labels) in enumerate(batches):
        expected_images, expected_labels = on_cpu.batch(step)
        assert images.cpu().equal(expected_images)
        assert labels.cpu().equal(expected_labels)
