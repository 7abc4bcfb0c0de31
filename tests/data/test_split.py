from __future__ import annotations

import hashlib
import struct

import pytest
import torch

from rescli.data.split import split_fingerprint, stratified_split, train_val_split


@pytest.mark.parametrize("val_size", [0, 1, 500, 999])
def test_divides_all_images(val_size: int) -> None:
    train, val = train_val_split(1000, val_size=val_size, seed=0)
    assert len(val) == val_size
    assert sorted(train.tolist() + val.tolist()) == list(range(1000))
    assert train.tolist() == sorted(train.tolist())
    assert val.tolist() == sorted(val.tolist())


def test_follows_from_the_seed() -> None:
    val = train_val_split(50_000, val_size=5000, seed=0)[1]
    assert val.equal(train_val_split(50_000, val_size=5000, seed=0)[1])
    other = train_val_split(50_000, val_size=5000, seed=1)[1]
    # Two independent tenths share a hundredth: 500 images, standard deviation 20.
    assert abs(len(set(val.tolist()) & set(other.tolist())) - 500) < 100


def test_stays_what_it_was() -> None:
    # Held for good: a change would mix the training images of old checkpoints into validation.
    assert train_val_split(50_000, val_size=5000, seed=0)[1][:8].tolist() == [2, 10, 28, 49, 58, 78, 87, 95]


@pytest.mark.parametrize("val_size", [-1, 10, 11])
def test_refuses_to_leave_nothing_to_train_on(val_size: int) -> None:
    with pytest.raises(ValueError, match=f"between 0 and 9, got {val_size}"):
        train_val_split(10, val_size=val_size, seed=0)


def test_fingerprint_by_hand() -> None:
    content = b"aa\nbb\n" + struct.pack("<3q", 0, 2, 5)
    assert split_fingerprint(["aa", "bb"], torch.tensor([0, 2, 5])) == hashlib.sha256(content).hexdigest()


class TestStratified:
    def test_both_parts_have_the_classes_in_proportion(self) -> None:
        labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)[torch.randperm(1000)]
        train, val = stratified_split(labels, val_size=100, seed=0)
        assert torch.bincount(labels[val]).tolist() == [60, 30, 10]
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(1000))
        assert train.equal(train.sort().values)

    @pytest.mark.parametrize(
        ("counts", "val_size", "expected"),
        [
            ([5, 5, 5], 1, [1, 0, 0]),  # the largest remainder, the first of equal ones
            ([95, 5], 10, [9, 1]),
            ([1, 1, 1, 17], 2, [0, 0, 0, 2]),  # no class loses its only image
            ([1, 1, 1], 2, [1, 1, 0]),  # unless there is no other
            ([10, 0, 10], 4, [2, 0, 2]),
        ],
    )
    def test_shares_are_rounded_so_that_they_add_up(
        self, counts: list[int], val_size: int, expected: list[int]
    ) -> None:
        labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        _, val = stratified_split(labels, val_size=val_size, seed=3)
        assert torch.bincount(labels[val], minlength=len(counts)).tolist() == expected

    def test_follows_from_the_seed(self) -> None:
        labels = torch.arange(1000) % 10
        first, other = (stratified_split(labels, val_size=100, seed=seed)[1] for seed in (0, 1))
        assert first.equal(stratified_split(labels, val_size=100, seed=0)[1])
        assert len({*first.tolist()} & {*other.tolist()}) < 40

    def test_stays_what_it_was(self) -> None:
        # Held for good: a change would mix the training images of old checkpoints into validation.
        val = stratified_split(torch.arange(50) % 3, val_size=5, seed=0)[1]
        assert val.tolist() == [2, 6, 28, 33, 49]

    def test_nonsense_is_refused(self) -> None:
        with pytest.raises(ValueError, match="val_size must be between 0 and 2, got 3"):
            stratified_split(torch.arange(3), val_size=3, seed=0)
