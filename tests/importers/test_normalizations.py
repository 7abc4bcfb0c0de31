from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from rescli import registry
from rescli.data.cifar.images import CIFAR10, read_cifar
from rescli.data.normalization import Normalization
from rescli.errors import UnknownNameError
from rescli.importers.normalizations import NORMALIZATIONS, named_normalization
from rescli.models.specs import model_spec


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_apply_equals_the_arithmetic_by_hand(name: str) -> None:
    images = torch.randint(
        0, 256, (2, 5, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = NORMALIZATIONS[name]
    applied = named_normalization(name).apply(images)
    for n, y, x, c in [(0, 0, 0, 0), (1, 4, 2, 1), (1, 3, 4, 2)]:
        by_hand = (int(images[n, y, x, c]) / 255 - mean[c]) / std[c]
        assert applied[n, c, y, x].item() == pytest.approx(by_hand, abs=1e-5)
    stored = Normalization.from_json(named_normalization(name).to_json())
    assert stored.apply(images).equal(applied)


def test_an_unknown_name_is_refused_with_its_neighbour() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'imagenet'"):
        named_normalization("imagenett")


@pytest.mark.parametrize("name", registry.names("importers"))
def test_every_importer_bears_its_name_and_a_known_normalization(name: str) -> None:
    importer = registry.load("importers", name)()
    assert importer.kind == name
    for model in ("resnet-20", "resnet-50"):
        assert importer.default_normalization(model_spec(model)) in NORMALIZATIONS


def test_the_help_lists_them_all(rescli) -> None:  # type: ignore[no-untyped-def]
    text = re.sub(r"[\s│]+", " ", rescli("import", "--help").out)
    for name in (*NORMALIZATIONS, *registry.names("importers")):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.realdata
def test_cifar10_numbers_are_those_of_the_images(cifar_root: Path) -> None:
    images = read_cifar(CIFAR10, cifar_root, ("train",), val_size=0, split_seed=0)["train"].images_NHWC
    fitted = Normalization.fit(images, "per-channel")
    mean, std = NORMALIZATIONS["cifar10-channels"]
    assert fitted.std_C is not None
    assert [round(m, 4) for m in fitted.mean_CHW.flatten().tolist()] == list(mean)
    assert [round(s, 4) for s in fitted.std_C.tolist()] == pytest.approx(std, abs=1.1e-4)
    in_255ths = [[255 * channel for channel in part] for part in NORMALIZATIONS["cifar10-channels-255"]]
    assert in_255ths[0] == pytest.approx((255 * fitted.mean_CHW).flatten().tolist(), abs=0.051)
    assert in_255ths[1] == pytest.approx((255 * fitted.std_C).tolist(), abs=0.051)
    # The average over images of each one's own deviation, with torch's n - 1.
    own = torch.cat([(chunk / 255).flatten(1, 2).std(1) for chunk in images.split(5000)]).mean(0)
    assert NORMALIZATIONS["cifar10-image-std"] == (mean, pytest.approx(own.tolist(), abs=1.1e-4))
