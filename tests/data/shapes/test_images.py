"""The embedded shapes set: same seed same bytes, balanced, visible, not linearly separable."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from rescli.data.image_set import ImageSet
from rescli.data.shapes.blocks import SHAPE_CLASSES
from rescli.data.shapes.geometry import SILHOUETTES, Floats
from rescli.data.shapes.images import make_shapes
from rescli.errors import SpecError, UnknownNameError

ALL_SPLITS = ("train", "val", "test")

GOLDEN_FINGERPRINT = "90d7cf1ab4012bf7800b876eccab696762fc01e75b46ae6774058ddf65f76084"
"""The fingerprint of 30 training images of seed 0, on any machine.

Pixels are made only of operations that IEEE 754 rounds exactly, cosines are rounded to 20 bits, and PCG64's
stream is fixed, so this may change only with the generator: a change to it changes every published number.
Regenerate with
python -c "from tests.data.test_shapes import small; print(small('train', seed=0, num_images=30).fingerprint)"
"""


def small(split: str, *, seed: int = 0, num_images: int = 200) -> ImageSet:
    sets = make_shapes(
        seed=seed, num_train=num_images, num_val=num_images, num_test=num_images, splits=(split,)
    )
    return sets[split]


@pytest.fixture(scope="module")
def train() -> ImageSet:
    return small("train", num_images=3000)


def test_a_split_is_uint8_rgb_at_32_pixels_with_labels_and_names(train: ImageSet) -> None:
    assert train.images_NHWC.shape == (3000, 32, 32, 3)
    assert train.images_NHWC.dtype == torch.uint8
    assert train.images_NHWC.is_contiguous()
    assert train.labels_N.dtype == torch.int64
    assert train.class_names == SHAPE_CLASSES == tuple(sorted(SHAPE_CLASSES))
    assert train.num_classes == 10


def test_classes_are_balanced_and_shuffled(train: ImageSet) -> None:
    assert train.labels_N.bincount().tolist() == [300] * 10
    assert len(set(train.labels_N[:100].tolist())) == 10
    assert (train.labels_N.diff() < 0).any()


def test_counts_differ_by_at_most_one_where_classes_do_not_divide_the_size() -> None:
    counts = small("val", num_images=37).labels_N.bincount(minlength=10)
    assert counts.sum() == 37
    assert counts.max() - counts.min() == 1


def test_only_the_asked_splits_are_made_in_the_order_asked() -> None:
    sets = make_shapes(seed=0, num_train=10, num_val=20, num_test=30, splits=("test", "train"))
    assert [(split, len(images)) for split, images in sets.items()] == [("test", 30), ("train", 10)]


def test_the_fingerprint_is_the_sha256_of_images_and_labels() -> None:
    images = small("val", num_images=20)
    content = images.images_NHWC.numpy().tobytes() + images.labels_N.numpy().astype("<i8").tobytes()
    assert images.fingerprint == hashlib.sha256(content).hexdigest()


def test_the_golden_fingerprint_holds() -> None:
    assert small("train", seed=0, num_images=30).fingerprint == GOLDEN_FINGERPRINT


@pytest.mark.parametrize("num_threads", [1, 3])
def test_another_process_with_other_threads_makes_the_same_bytes(num_threads: int) -> None:
    program = (
        "import torch; from rescli.data.shapes.images import make_shapes\n"
        f"torch.set_num_threads({num_threads})\n"
        "sets = make_shapes(seed=5, num_train=1500, num_val=1, num_test=1, splits=('train',))\n"
        "print(sets['train'].fingerprint)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == small("train", seed=5, num_images=1500).fingerprint


def test_a_split_does_not_depend_on_the_other_splits() -> None:
    together = make_shapes(seed=3, num_train=40, num_val=200, num_test=60, splits=ALL_SPLITS)
    assert together["val"].fingerprint == small("val", seed=3).fingerprint


def test_no_image_appears_twice_within_splits_across_splits_or_across_seeds() -> None:
    sets = [small(split, seed=seed) for split in ALL_SPLITS for seed in (0, 1)]
    digests = {hashlib.sha256(image.numpy()).digest() for images in sets for image in images.images_NHWC}
    assert len(digests) == 6 * 200


def test_no_block_of_a_class_repeats_another(train: ImageSet) -> None:
    # 300 images of a class are five blocks, each from its own generator.
    digests = {hashlib.sha256(image.numpy()).digest() for image in train.images_NHWC}
    assert len(digests) == len(train)


def test_images_vary_in_brightness_and_none_is_flat(train: ImageSet) -> None:
    images_NHWC = train.images_NHWC.float()
    assert 90 < images_NHWC.mean() < 140
    grey_NHW = images_NHWC.mean(dim=3)
    assert grey_NHW.mean(dim=(1, 2)).std() > 15
    contrast_N = grey_NHW.flatten(1).std(dim=1)
    assert contrast_N.min() > 4
    assert 15 < contrast_N.mean() < 40


def test_one_value_of_brightness_does_not_give_the_class_away(train: ImageSet) -> None:
    grey_N = train.images_NHWC.float().mean(dim=(1, 2, 3))
    class_means = torch.stack([grey_N[train.labels_N == label].mean() for label in range(10)])
    assert class_means.std() < 0.5 * grey_N.std()


def test_a_linear_classifier_stays_below_forty_percent(train: ImageSet) -> None:
    """Ridge regression on the pixels, solved in closed form: the dual of 3 072 features has N unknowns."""
    val = small("val", num_images=1000)

    def features(images: ImageSet) -> torch.Tensor:
        return (images.images_NHWC.flatten(1).double() - 110) / 64

    x = features(train)
    targets = torch.nn.functional.one_hot(train.labels_N, 10).double() - 0.1
    for penalty in (1e4,):
        gram = x @ x.T + penalty * torch.eye(len(x), dtype=torch.float64)
        dual = torch.linalg.solve(gram, targets)
        predicted = ((features(val) @ x.T) @ dual).argmax(dim=1)
        assert (predicted == val.labels_N).double().mean() < 0.40


@pytest.mark.parametrize("class_name", SHAPE_CLASSES)
@pytest.mark.parametrize("form", [0.0, 1.0])
def test_every_silhouette_is_its_own_mirror_image_and_stays_near_its_circle(
    class_name: str, form: float
) -> None:
    axis = np.linspace(-1.5, 1.5, 121, dtype=np.float32)
    u, v = np.broadcast_arrays(axis.reshape(1, 1, -1), axis.reshape(1, -1, 1))
    distance = SILHOUETTES[class_name](u, v, np.full((1, 1, 1), form, dtype=np.float32))[0]

    # The crescent is cut along u, every other class along v: the mirror is the other axis.
    mirrored = distance[::-1] if class_name == "crescent" else distance[:, ::-1]
    np.testing.assert_allclose(distance, mirrored, atol=1e-5)

    inside = distance < 0
    assert np.hypot(u, v)[0][inside].max() < 1.25
    assert 0.15 < inside.sum() * (axis[1] - axis[0]) ** 2 / np.pi < 1.0


@pytest.mark.parametrize("class_name", SHAPE_CLASSES)
def test_distances_grow_at_the_rate_of_pixels_at_the_outline(class_name: str) -> None:
    """Anti-aliasing needs a gradient of length one where the distance crosses zero."""
    step = 0.02
    axis = np.arange(-1.4, 1.4, step, dtype=np.float32)
    u, v = np.broadcast_arrays(axis.reshape(1, 1, -1), axis.reshape(1, -1, 1))
    distance: Floats = SILHOUETTES[class_name](u, v, np.full((1, 1, 1), 0.5, dtype=np.float32))[0]
    slope = np.hypot(*np.gradient(distance, step))
    at_outline = np.abs(distance) < step
    assert np.median(slope[at_outline]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("num_images", [0, -5])
def test_an_empty_split_is_refused(num_images: int) -> None:
    with pytest.raises(SpecError, match=f"val split of the shapes set has {num_images} images"):
        small("val", num_images=num_images)


def test_the_size_of_a_split_that_is_not_asked_for_does_not_matter() -> None:
    sets = make_shapes(seed=0, num_train=10, num_val=0, num_test=0, splits=("train",))
    assert len(sets["train"]) == 10


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SpecError, match="seed of the shapes set is -1"):
        small("train", seed=-1)


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        small("trian")
