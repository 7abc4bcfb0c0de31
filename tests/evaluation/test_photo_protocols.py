"""center224, ten-crop and multi-scale against a slow reference: torchvision's transforms, and loops."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.transforms as T  # type: ignore[import-untyped]
from PIL import Image
from torch import Tensor, nn

from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.evaluation.averaging import average_views
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.protocols import CENTER224, FLIP, MULTI_SCALE, TEN_CROP, Protocol
from rescli.hardware.numerics import Numerics

NORMALIZE = T.Compose([T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def ours(
    model: nn.Module,
    images: ImageFiles,
    protocol: Protocol,
    normalization: Normalization,
    batch_size: int = 3,
) -> Tensor:
    """Logits (N, V, K)."""
    views = protocol.photos
    assert views is not None
    batches = view_batches(images, views, normalization, batch_size=batch_size, device="cpu")
    return predict_views(
        model,
        batches,
        num_images=len(images),
        num_views=views.count,
        num_classes=3,
        numerics=Numerics(torch.device("cpu"), "fp32"),
        window=views.window,
    )


def load(images: ImageFiles, index: int) -> Image.Image:
    with Image.open(images.root / images.file_names[index]) as image:
        return image.convert("RGB")


def is_grey(images: ImageFiles, index: int) -> bool:
    with Image.open(images.root / images.file_names[index]) as image:
        return image.mode == "L"


@torch.inference_mode()
def slow_center(model: nn.Module, image: Image.Image) -> Tensor:
    """Logits (1, K)."""
    return model(NORMALIZE(T.CenterCrop(224)(T.Resize(256)(image)))[None])  # type: ignore[no-any-return]


@torch.inference_mode()
def slow_ten_crop(model: nn.Module, image: Image.Image) -> Tensor:
    """Logits (10, K)."""
    return torch.cat([model(NORMALIZE(crop)[None]) for crop in T.TenCrop(224)(T.Resize(256)(image))])


@torch.inference_mode()
def slow_multi_scale(model: nn.Module, image: Image.Image) -> Tensor:
    """Logits (10, K): at each place of the last map, the average of 7x7 places and the classifier."""
    logits = []
    for side in (224, 256, 384, 480, 640):
        resized = T.Resize(side)(image)
        for oriented in (resized, resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
            x = NORMALIZE(oriented)[None]
            for layer in (model.conv1, model.bn1, torch.relu, model.maxpool):
                x = layer(x)  # type: ignore[operator]
            for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
                x = stage(x)  # type: ignore[operator]
            class_map = [
                model.fc(x[0, :, top : top + 7, left : left + 7].mean((1, 2)))  # type: ignore[operator]
                for top in range(x.shape[2] - 6)
                for left in range(x.shape[3] - 6)
            ]
            logits.append(torch.stack(class_map).mean(0))
    return torch.stack(logits)


PAIRS = [(CENTER224, slow_center), (TEN_CROP, slow_ten_crop), (MULTI_SCALE, slow_multi_scale)]


@pytest.mark.parametrize(("protocol", "slow"), PAIRS, ids=lambda value: getattr(value, "name", ""))
def test_equals_the_slow_reference_on_every_awkward_image(
    protocol: Protocol,
    slow: Callable[[nn.Module, Image.Image], Tensor],
    photos: ImageFiles,
    photo_net: Callable[[], nn.Module],
    channels: Normalization,
) -> None:
    if protocol is MULTI_SCALE:  # the widest are slow in a loop, and the slivers as well
        keep = [i for i in range(len(photos)) if not photos.file_names[i].endswith(("4.jpg", "5.jpg"))]
        photos = ImageFiles(
            photos.root,
            tuple(photos.file_names[i] for i in keep),
            photos.labels_N[keep],
            photos.class_names,
            "",
        )
    check(photo_net(), photos, protocol, slow, channels)


@pytest.mark.parametrize(("protocol", "slow"), PAIRS, ids=lambda value: getattr(value, "name", ""))
@pytest.mark.parametrize("folder", ["imagenet-sample200", "imagenette224"])
@pytest.mark.realdata
def test_equals_the_slow_reference_on_real_photographs(
    protocol: Protocol,
    slow: Callable[[nn.Module, Image.Image], Tensor],
    folder: str,
    photo_net: Callable[[], nn.Module],
    channels: Normalization,
) -> None:
    given = os.environ.get("RESCLI_TEST_PHOTOS")
    if not given:
        pytest.skip("RESCLI_TEST_PHOTOS is not set: the folder of imagenet-sample200 and imagenette224")
    root = Path(given) / folder
    split = "val" if (root / "val").is_dir() else "all"
    whole = read_folder(root, (split,))[split]
    grey = [i for i in range(len(whole)) if is_grey(whole, i)]
    assert grey
    small = sorted(range(len(whole)), key=lambda i: min(load(whole, i).size))[:3]
    step = 40 if protocol is TEN_CROP else 100
    chosen = sorted({*grey[:2], *small, *range(0, len(whole), max(step, len(whole) // 4))})
    some = ImageFiles(
        whole.root,
        tuple(whole.file_names[i] for i in chosen),
        whole.labels_N[chosen],
        whole.class_names,
        "",
    )
    check(photo_net(), some, protocol, slow, channels)


def check(
    model: nn.Module,
    images: ImageFiles,
    protocol: Protocol,
    slow: Callable[[nn.Module, Image.Image], Tensor],
    channels: Normalization,
) -> None:
    logits = ours(model, images, protocol, channels)
    expected = torch.stack([slow(model, load(images, i)) for i in range(len(images))])
    # View by view, in torchvision's order; logits of a few units, and far apart.
    assert expected.abs().max() < 10
    assert expected.std(0).max() > 0.01
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    probabilities = average_views(logits, "probabilities").exp()
    slow_probabilities = expected.double().softmax(2).mean(1)
    torch.testing.assert_close(probabilities, slow_probabilities, rtol=0, atol=1e-5)


def test_the_batch_size_changes_nothing(
    photos: ImageFiles, photo_net: Callable[[], nn.Module], channels: Normalization
) -> None:
    model = photo_net()
    expected = ours(model, photos, TEN_CROP, channels, batch_size=1)
    for batch_size in (2, 5, 100):
        torch.testing.assert_close(
            ours(model, photos, TEN_CROP, channels, batch_size=batch_size), expected, rtol=0, atol=1e-5
        )


def test_the_flip_of_the_centre_is_the_tenth_view_of_ten_crops(
    photos: ImageFiles, photo_net: Callable[[], nn.Module], channels: Normalization
) -> None:
    model = photo_net()
    ten = ours(model, photos, TEN_CROP, channels)
    torch.testing.assert_close(ours(model, photos, FLIP, channels), ten[:, [4, 9]], rtol=0, atol=1e-5)


def test_a_mean_image_is_subtracted_where_it_fits_and_its_channel_means_elsewhere(
    photos: ImageFiles, photo_net: Callable[[], nn.Module]
) -> None:
    model = photo_net()
    mean_CHW = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    per_pixel = Normalization("per-pixel-mean", mean_CHW)
    crop = T.functional.pil_to_tensor(T.CenterCrop(224)(T.Resize(256)(load(photos, 0)))) / 255
    with torch.inference_mode():
        expected = model((crop - mean_CHW)[None])
    torch.testing.assert_close(ours(model, photos, CENTER224, per_pixel)[0], expected, rtol=0, atol=1e-5)
    per_channel = Normalization("per-channel", mean_CHW.mean((1, 2), keepdim=True), None)
    dense = ours(model, photos, MULTI_SCALE, per_pixel)
    wide = [i for i in range(len(photos)) if max(load(photos, i).size) > 1.2 * min(load(photos, i).size)]
    torch.testing.assert_close(
        dense[wide], ours(model, photos, MULTI_SCALE, per_channel)[wide], rtol=0, atol=1e-5
    )
