from __future__ import annotations

import pytest
import torch

from rescli.data.hashing import Stream, hash64
from rescli.data.order import SampleOrder, batch_indices, epoch_order


def test_every_epoch_is_a_permutation() -> None:
    for epoch in range(5):
        order = epoch_order(1000, seed=0, epoch=epoch)
        assert order.sort().values.tolist() == list(range(1000))


def test_order_is_sorted_by_hash() -> None:
    hashes = hash64(3, Stream.ORDER, (2 << 32) + torch.arange(50)).tolist()
    assert epoch_order(50, seed=3, epoch=2).tolist() == sorted(range(50), key=hashes.__getitem__)


def test_stays_what_it_was() -> None:
    # Held for good: a change would make a resumed run see images twice in an epoch.
    assert epoch_order(50_000, seed=0, epoch=0)[:6].tolist() == [11691, 42981, 2502, 19753, 13494, 5481]


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(100, seed=s, epoch=e).tolist()) for s in range(3) for e in range(3)}
    assert len(orders) == 9


def test_each_place_shows_each_image_alike() -> None:
    first = torch.stack([epoch_order(5, seed=0, epoch=e) for e in range(5000)])
    for place in range(5):
        counts = first[:, place].bincount(minlength=5)
        # chi-square with 4 degrees of freedom: 18.5 at p = 0.001.
        assert ((counts - 1000.0) ** 2 / 1000).sum() < 18.5


@pytest.mark.parametrize("batch_size", [1, 7, 10, 23, 64])
def test_batches_cut_the_endless_sequence_of_epochs(batch_size: int) -> None:
    endless = torch.cat([epoch_order(10, seed=5, epoch=e) for e in range(100)])
    order = SampleOrder(10, batch_size=batch_size, seed=5)
    for step in range(12):
        indices, slots = order.batch(step)
        assert slots.tolist() == list(range(step * batch_size, (step + 1) * batch_size))
        assert indices.equal(endless[slots])


def test_a_span_is_its_steps_one_after_the_other() -> None:
    order = SampleOrder(10, batch_size=4, seed=1)
    for step, steps in ((0, 1), (3, 9), (1, 40)):
        expected = [order.batch(step + offset)[0] for offset in range(steps)]
        assert order.span(step, steps).equal(torch.cat(expected))


def test_steps_in_any_order() -> None:
    order = SampleOrder(10, batch_size=4, seed=1)
    for step in (9, 0, 1000, 3, 9, 2):
        for got, expected in zip(
            order.batch(step), batch_indices(step, batch_size=4, num_images=10, seed=1), strict=True
        ):
            assert got.equal(expected)


def test_keeps_no_epoch_it_left() -> None:
    order = SampleOrder(10, batch_size=4, seed=1)
    for step in range(100):
        order.batch(step)
        assert len(order._orders) <= 2


def test_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="got 0 and 4"):
        SampleOrder(0, batch_size=4, seed=0)
    with pytest.raises(ValueError, match="from 0, got -1"):
        SampleOrder(10, batch_size=4, seed=0).batch(-1)
