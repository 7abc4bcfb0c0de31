import torch

from rescli.data.image_set import ImageSet
from rescli.data.loader import eval_batches
from rescli.data.normalization import Normalization
from rescli.evaluation.evaluate import evaluate, predict
from rescli.models.resnet import cifar_resnet
from rescli.training.precision import Numerics

CPU_FP32 = Numerics(torch.device("cpu"), "fp32")


def image_set(count):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return ImageSet(images, labels, tuple("abcdefghij"), "test")


def test_the_batch_size_changes_no_count():
    images = image_set(53)
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    model = cifar_resnet(depth=8, seed=0)
    results = [
        evaluate(model, eval_batches(images, normalization, batch_size=size, device="cpu"), numerics=CPU_FP32)
        for size in (1, 7, 52, 53, 500)
    ]
    assert {result.num_images for result in results} == {53}
    assert len({(result.top1_error, result.top5_error) for result in results}) == 1


def test_every_image_once_in_order_and_the_mode_is_left_as_it_was():
    images = image_set(10)
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    model = cifar_resnet(depth=8, seed=0).train()
    statistics = model.bn1.running_mean.clone()
    logits, labels = predict(
        model, eval_batches(images, normalization, batch_size=4, device="cpu"), numerics=CPU_FP32
    )
    assert model.training
    assert torch.equal(model.bn1.running_mean, statistics)
    assert torch.equal(labels, images.labels_N)
    with torch.inference_mode():
        alone = model.eval()(normalization.apply(images.images_NHWC[9:]))
    torch.testing.assert_close(logits[9:], alone)
