from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from rescli.data.hashing import Stream, hash64, uniform_below

MASK = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15


def splitmix64(state: int) -> int:
    """One output of SplitMix64 in Python's integers, after its authors' C code."""
    z = (state + GAMMA) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def reference(seed: int, stream: int, counter: int) -> int:
    key = splitmix64(splitmix64(seed - GAMMA) + stream * GAMMA)
    return splitmix64(key + counter * GAMMA)


def unsigned(hashes: torch.Tensor) -> list[int]:
    return [h & MASK for h in hashes.flatten().tolist()]


@given(
    seed=st.integers(-(2**70), 2**70),
    stream=st.integers(0, 1000),
    counters=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20),
)
def test_equals_big_integers(seed: int, stream: int, counters: list[int]) -> None:
    hashes = hash64(seed, stream, torch.tensor(counters))
    assert hashes.dtype == torch.int64
    assert unsigned(hashes) == [reference(seed, stream, c) for c in counters]


def test_published_sequence() -> None:
    # The first outputs of SplitMix64 seeded with 0, as other libraries' tests give them.
    assert [splitmix64(k * GAMMA) for k in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_length_does_not_matter() -> None:
    # Vectorised and scalar code paths of torch must agree.
    whole = hash64(7, Stream.ORDER, torch.arange(1000))
    assert all(int(hash64(7, Stream.ORDER, torch.tensor([i]))) == int(whole[i]) for i in range(1000))


def test_streams_and_seeds_share_no_number() -> None:
    counters = torch.arange(2000)
    everything = torch.cat([hash64(seed, stream, counters) for seed in (0, 1, 2) for stream in Stream])
    assert len(everything.unique()) == 3 * len(Stream) * 2000


def test_every_bit_is_fair() -> None:
    hashes = hash64(0, Stream.CROP_FLIP, torch.arange(20_000))
    ones = torch.stack([(hashes >> bit) & 1 for bit in range(64)]).double().mean(1)
    # 5 standard deviations of a fair coin: 5 * 0.5 / sqrt(20000) = 0.0177.
    assert (ones - 0.5).abs().max() < 0.0177


def test_uniform_below_is_uniform() -> None:
    draws = uniform_below(hash64(0, Stream.CROP_FLIP, torch.arange(90_000)), 9, low_bit=16)
    counts = draws.bincount(minlength=9)
    assert counts.sum() == 90_000
    assert len(counts) == 9
    # chi-square with 8 degrees of freedom: 26.1 at p = 0.001.
    assert ((counts - 10_000.0) ** 2 / 10_000).sum() < 26.1


def test_uniform_below_one_is_zero() -> None:
    assert uniform_below(hash64(0, 1, torch.arange(100)), 1, low_bit=40).eq(0).all()
