from __future__ import annotations

import hashlib
import struct

import pytest
import torch

from rescli.data.split import split_fingerprint, train_val_split


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
