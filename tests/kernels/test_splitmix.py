from __future__ import annotations

import torch

from rescli.kernels.splitmix import GAMMA, MASK64, first_state, mix_int, sequence64, uniform_below


def test_the_sequence_of_0_is_the_published_one() -> None:
    """The first outputs of Vigna's splitmix64.c with state 0 (https://prng.di.unimi.it/splitmix64.c)."""
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert [int(z) & MASK64 for z in sequence64(0, torch.arange(4))] == known
    assert [mix_int((place + 1) * GAMMA) for place in range(4)] == known


def test_first_state_is_an_int64_with_the_bits_of_the_key_and_gamma() -> None:
    for key in (0, 1, -GAMMA, 1 << 63, MASK64):
        state = first_state(key)
        assert -(1 << 63) <= state < 1 << 63
        assert (state - key - GAMMA) % (1 << 64) == 0


def test_uniform_below_by_hand() -> None:
    # 24 bits from bit 16 on: none, half of them, all of them.
    hashes = torch.tensor([0xFFFF, 0x800000 << 16, 0xFFFFFF << 16])
    assert uniform_below(hashes, 9, low_bit=16).tolist() == [0, 4, 8]
