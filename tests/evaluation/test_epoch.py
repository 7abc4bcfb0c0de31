import pytest
import torch

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.evaluation.epoch import evaluate
from rescli.models.resnet import cifar_resnet


@pytest.mark.parametrize("kind", ["per-pixel-mean", "per-channel"])
def test_the_batch_size_changes_no_count(numerics, kind):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (53, 32, 32, 3), dtype=torch.uint8, generator=generator)
    images = ImageSet(pixels, torch.randint(0, 10, (53,), generator=generator), tuple("abcdefghij"), "test")
    normalization = Normalization.fit(images.images_NHWC, kind)
    model = cifar_resnet(depth=8, seed=0)
    results = [
        evaluate(model, images, normalization, batch_size=size, numerics=numerics)
        for size in (1, 7, 52, 53, 500)
    ]
    assert {result.num_images for result in results} == {53}
    assert len({(result.top1_error, result.top5_error) for result in results}) == 1


def test_asked_to_stop_it_leaves_at_its_next_batch_and_the_mode_as_it_was(numerics, small_net):
    images = ImageSet(
        torch.zeros((50, 32, 32, 3), dtype=torch.uint8), torch.zeros(50).long(), tuple("abcdefghij"), "val"
    )
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    seen = []

    def forward(images_NCHW):
        seen.append(len(images_NCHW))
        return small_net(images_NCHW)

    result = evaluate(
        small_net.train(),
        images,
        normalization,
        batch_size=20,
        numerics=numerics,
        forward=forward,
        should_stop=lambda: len(seen) == 2,
    )
    assert result is None
    assert seen == [20, 20]
    assert small_net.training
