import pytest
import torch
from torch import nn

from rescli.data.image_set import ImageSet
from rescli.errors import UsageError
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.logits.predict import dense_logits, predict_views
from rescli.evaluation.protocols import MULTI_SCALE, SINGLE


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (10, 32, 32, 3), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.randint(0, 10, (10,), generator=generator), tuple("abcdefghij"), "test")


def test_every_image_once_in_order_and_the_mode_is_left_as_it_was(images, small_net, channels, numerics):
    small_net.train()
    statistics = small_net.bn1.running_mean.clone()
    batches = view_batches(images, SINGLE.small, channels, batch_size=4, device="cpu")
    logits_NVK = predict_views(
        small_net, batches, num_images=10, num_views=1, num_classes=10, numerics=numerics
    )
    assert logits_NVK.shape == (10, 1, 10)
    assert logits_NVK.dtype == torch.float32
    assert small_net.training
    assert torch.equal(small_net.bn1.running_mean, statistics)
    with torch.inference_mode():
        alone = small_net.eval()(channels.apply(images.images_NHWC[9:]))
    torch.testing.assert_close(logits_NVK[9:, 0], alone)


def test_on_the_training_size_the_fully_convolutional_net_is_the_net(small_net):
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(dense_logits(small_net, x, window=8), small_net(x), rtol=0, atol=1e-5)


def test_the_class_map_is_averaged_over_its_places(small_net):
    """Second formula: the classifier as a 1x1 convolution over the averages of 8x8 places."""
    x = torch.randn(2, 3, 40, 52, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features = small_net.features(x)
        assert features.shape[2:] == (10, 13)
        places = [
            small_net.fc(features[:, :, top : top + 8, left : left + 8].mean((2, 3)))
            for top in range(3)
            for left in range(6)
        ]
        torch.testing.assert_close(
            dense_logits(small_net, x, window=8), torch.stack(places).mean(0), rtol=0, atol=1e-5
        )


def test_a_net_that_cannot_be_made_fully_convolutional_is_refused(images, channels, numerics):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    batches = view_batches(images, MULTI_SCALE.small, channels, batch_size=4, device="cpu")
    with pytest.raises(UsageError, match=r"Sequential cannot be made fully convolutional"):
        predict_views(net, batches, num_images=10, num_views=6, num_classes=10, numerics=numerics, window=8)
