"""Views of images in memory; those of files are held in test_photo_protocols.py."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms as T
from PIL import Image

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.evaluation.images import views as views_module
from rescli.evaluation.images.views import _middle, _pieces, crop_corners, resized_size, view_batches
from rescli.evaluation.protocols import CENTER224, FLIP, MULTI_SCALE, SINGLE, TEN_CROP


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


SLIVERS = [(1000, 1), (1, 1000), (30_000, 200), (200, 30_000), (60_000, 1)]


@pytest.fixture
def largest(monkeypatch):
    """The most pixels of any resized image so far."""
    resize, seen = Image.Image.resize, [0]

    def watched(self, size, *args, **kwargs):
        seen[0] = max(seen[0], size[0] * size[1])
        return resize(self, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)
    return seen


@pytest.mark.parametrize(
    ("protocol", "size"),
    [
        *((protocol, size) for protocol in (CENTER224, FLIP, TEN_CROP) for size in SLIVERS),
        (MULTI_SCALE, SLIVERS[1]),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_sliver_costs_no_more_than_is_stated(protocol, size, largest):
    pieces = _pieces(Image.new("RGB", size, (9, 99, 199)), protocol.photos)
    assert all((piece.flatten(0, -2) == torch.tensor([9, 99, 199])).all() for piece in pieces)
    assert largest[0] <= 2**23  # 25 MB
    if protocol is not MULTI_SCALE:
        assert pieces[0].shape == (2 if protocol.photos.flip else 1, protocol.photos.places, 224, 224, 3)


@pytest.mark.parametrize("size", [(30_000, 200), (150, 20_000)], ids=str)
@pytest.mark.parametrize("protocol", [CENTER224, TEN_CROP], ids=lambda p: p.name)
def test_cut_first_a_crop_shows_the_same(protocol, size, monkeypatch):
    coarse = Image.effect_noise((max(1, size[0] // 40), max(1, size[1] // 40)), 60).convert("RGB")
    image = coarse.resize(size)
    (cut,) = _pieces(image, protocol.photos)
    monkeypatch.setattr(views_module, "MAX_RESIZED", 2**40)
    (resized,) = _pieces(image, protocol.photos)
    difference = (cut.int() - resized.int()).abs()
    assert difference.max() <= 2
    assert difference.float().mean() < 0.1


@pytest.mark.parametrize("size", [(32_000, 250), (250, 32_000), (500, 375), (224, 224), (3, 1)], ids=str)
def test_ordinary_images_are_resized_whole_and_then_cropped(size):
    image = Image.effect_noise((max(1, size[0] // 10), max(1, size[1] // 10)), 60).convert("RGB").resize(size)
    (pieces,) = _pieces(image, TEN_CROP.photos)
    expected = T.TenCrop(224)(T.functional.pil_to_tensor(T.Resize(256)(image)))
    for found, crop in zip(pieces[0], expected[:5], strict=True):
        assert found.equal(crop.permute(1, 2, 0))


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000)], ids=str)
def test_whole_a_sliver_is_cut_to_its_middle(size):
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    middle = _middle(image, 640)
    assert sorted(middle.size) == [1, 16]
    left, top = ((length - short) // 2 for length, short in zip(image.size, middle.size, strict=True))
    assert middle.getpixel((0, 0)) == image.getpixel((left, top))
    assert _middle(image.crop((0, 0, min(81, size[0]), min(81, size[1]))), 640).size == (
        min(81, size[0]),
        min(81, size[1]),
    )


def test_a_batch_size_below_one_is_refused(images, channels):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        view_batches(images, SINGLE.small, channels, batch_size=0, device="cpu")
