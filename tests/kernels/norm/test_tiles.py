from __future__ import annotations

import pytest

from rescli.kernels.norm.tiles import MAX_PARTIALS, norm_launch

# Rows and channels of: two pixels, CIFAR's stages at batch 128 and 256, Table 1's maps, odd ones.
SHAPES = [
    (2, 1),
    (128 * 32 * 32, 16),
    (128 * 16 * 16, 32),
    (128 * 8 * 8, 64),
    (256 * 32 * 32, 16),
    (256 * 112 * 112, 64),
    (256 * 56 * 56, 256),
    (256 * 7 * 7, 2048),
    (32 * 7 * 7, 2048),
    (8 * 7 * 7, 2048),
    (105, 10),
    (257, 48),
    ((1 << 30) - 1, 3),
]


@pytest.mark.parametrize(("num_rows", "num_channels"), SHAPES)
def test_programs_cover_every_row_and_channel_and_none_is_idle(num_rows: int, num_channels: int) -> None:
    launch = norm_launch(num_rows, num_channels)
    assert launch.channel_programs == -(-num_channels // launch.block_channels)
    assert 1 <= launch.num_partials <= MAX_PARTIALS
    for programs, rows in (
        (launch.num_partials, launch.rows_per_partial),
        (launch.num_programs, launch.rows_per_program),
    ):
        assert rows % launch.block_rows == 0
        assert (programs - 1) * rows < num_rows <= programs * rows
        # CUDA's limits on a grid; and rows are counted in int32.
        assert programs < 1 << 31
        assert programs * rows < 1 << 31
    assert launch.channel_programs < 1 << 16
    assert launch.block_rows * launch.block_channels == 4096


def test_the_paper_s_stages_at_batch_128() -> None:
    stages = [norm_launch(128 * side * side, width) for side, width in ((32, 16), (16, 32), (8, 64))]
    assert [(s.num_partials, s.num_programs, s.channel_programs) for s in stages] == [
        (128, 256, 1),
        (128, 128, 2),
        (32, 32, 4),
    ]
