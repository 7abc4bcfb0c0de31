"""The paper's facts agree with each other, counted in a second way."""

from __future__ import annotations

import pytest

from rescli import paper


def test_the_cifar_depths_are_6n_plus_2() -> None:
    assert [(depth - 2) % 6 for depth in paper.CIFAR_DEPTHS] == [0] * 6
    assert [(depth - 2) // 6 for depth in paper.CIFAR_DEPTHS] == [3, 5, 7, 9, 18, 200]
    assert set(paper.CIFAR_PLAIN_DEPTHS) == set(paper.CIFAR_DEPTHS) - {1202}


@pytest.mark.parametrize("depth", paper.IMAGENET_DEPTHS)
def test_the_blocks_of_table_1_add_up_to_the_depth(depth: int) -> None:
    layers_per_block = {"basic": 2, "bottleneck": 3}[paper.imagenet_block(depth)]
    assert 2 + layers_per_block * sum(paper.TABLE_1_BLOCKS[depth]) == depth


def test_option_b_comes_with_bottlenecks() -> None:
    assert [paper.imagenet_shortcut(depth) for depth in paper.IMAGENET_DEPTHS] == list("AABBB")
    assert all(depth in paper.IMAGENET_DEPTHS for depth in paper.IMAGENET_PLAIN_DEPTHS)


def test_the_cifar_recipe_passes_over_45000_images_182_times() -> None:
    train_images, val_images = paper.CIFAR_SPLIT
    assert train_images + val_images == 50_000
    assert round(paper.CIFAR_ITERATIONS * paper.CIFAR_BATCH_SIZE / train_images) == 182
    assert paper.CIFAR_MILESTONES == (paper.CIFAR_ITERATIONS // 2, paper.CIFAR_ITERATIONS * 3 // 4)


def test_only_the_deepest_nets_warm_up() -> None:
    assert [depth for depth in paper.CIFAR_DEPTHS if paper.warms_up(depth)] == [110, 1202]
