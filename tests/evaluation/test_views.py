"""Views of images in memory; those of files are held in test_photo_protocols.py."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms as T
from PIL import Image

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.evaluation.protocols import CENTER224, FLIP, MULTI_SCALE, SINGLE, TEN_CROP
from rescli.evaluation.views import crop_corners, resized_size, view_batches


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (11, 32, 32, 3), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(11) % 3, ("a", "b", "c"), "test")


def gathered(images, protocol, normalization, batch_size=4):
    """{(image, view): input}, each once."""
    found = {}
    for batch in view_batches(images, protocol.small, normalization, batch_size=batch_size, device="cpu"):
        assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
        for index, one in zip(batch.images, batch.inputs, strict=True):
            assert (index, batch.view) not in found
            found[index, batch.view] = one
    return found


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
@pytest.mark.parametrize("protocol", [SINGLE, FLIP, TEN_CROP, MULTI_SCALE], ids=lambda p: p.name)
def test_every_view_of_every_image_once_whatever_the_batch_size(images, protocol, batch_size):
    normalization = Normalization.fit(images.images_NHWC, "per-channel")
    found = gathered(images, protocol, normalization, batch_size)
    assert set(found) == {(i, v) for i in range(11) for v in range(protocol.small.count)}
    for key, one in gathered(images, protocol, normalization).items():
        assert found[key].equal(one)


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_ten_crops_are_those_of_the_normalised_image_padded_by_zeros(images, kind):
    normalization = Normalization.fit(images.images_NHWC, kind)
    found = gathered(images, TEN_CROP, normalization)
    for index in range(11):
        pixels = images.images_NHWC[index].permute(2, 0, 1).float() / 255
        normalised = (pixels - normalization.mean_CHW) / (
            1 if normalization.std_C is None else normalization.std_C[:, None, None]
        )
        crops = T.TenCrop(32)(F.pad(normalised, (4, 4, 4, 4)))
        for view in range(10):
            torch.testing.assert_close(found[index, view], crops[view], rtol=0, atol=1e-6)


def test_the_flip_is_the_mirror_image_after_normalisation_as_in_training(images):
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    found = gathered(images, FLIP, normalization)
    for index in range(11):
        assert found[index, 0].equal(normalization.apply(images.images_NHWC[index : index + 1])[0])
        assert found[index, 1].equal(found[index, 0].flip(2))


def test_scales_of_images_in_memory_are_resized_as_torchvision_does(images):
    normalization = Normalization.fit(images.images_NHWC, "per-channel")
    found = gathered(images, MULTI_SCALE, normalization)
    image = Image.fromarray(images.images_NHWC[3].numpy())
    for scale, side in enumerate((32, 36, 40)):
        pixels = T.functional.pil_to_tensor(T.Resize(side)(image)).permute(1, 2, 0)
        expected = normalization.apply(pixels[None])[0]
        assert found[3, 2 * scale].equal(expected)
        assert found[3, 2 * scale + 1].equal(expected.flip(2))


def test_larger_inputs_come_in_smaller_batches(photos, channels):
    views = MULTI_SCALE.photos
    for batch in view_batches(photos, views, channels, batch_size=3, device="cpu"):
        batch_pixels = batch.inputs[:, 0].numel()
        assert batch_pixels <= 3 * 224**2 or len(batch.images) == 1


@pytest.mark.parametrize("width", range(1, 700, 37))
@pytest.mark.parametrize("height", [1, 99, 224, 500])
def test_sizes_and_corners_are_those_of_torchvision(width, height):
    image = Image.new("L", (width, height))
    resized = T.Resize(256)(image)
    assert resized_size(width, height, 256) == resized.size
    marked = torch.arange(resized.height * resized.width).view(1, resized.height, resized.width)
    expected = [int(crop[0, 0, 0]) for crop in T.FiveCrop(224)(marked)]
    corners = crop_corners(resized.height, resized.width, 224, "five")
    assert [top * resized.width + left for top, left in corners] == expected


def test_a_sliver_that_would_take_all_memory_is_refused_by_name(tmp_path, channels):
    Image.new("RGB", (400, 1)).save(tmp_path / "sliver.png")
    images = ImageFiles(tmp_path, ("sliver.png",), torch.tensor([0]), ("a",), "")
    with pytest.raises(DataError, match=r"sliver.png is 400x1; with a shorter side of 384"):
        list(view_batches(images, MULTI_SCALE.photos, channels, batch_size=2, device="cpu"))
    assert len(list(view_batches(images, CENTER224.photos, channels, batch_size=2, device="cpu"))) == 1


def test_a_batch_size_below_one_is_refused(images, channels):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        view_batches(images, SINGLE.small, channels, batch_size=0, device="cpu")
