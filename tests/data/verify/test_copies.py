from __future__ import annotations

import numpy as np
import pytest

import rescli.data.verify.copies
from rescli.data.verify.copies import Contents, Copies, Copy, content_hash, find_copies


def contents_of(levels: list[int], labels: list[int], names: tuple[str, ...] = ()) -> Contents:
    """Images of which nothing matters but their level, in classes a, b, c."""
    return Contents(
        hashes_M=np.array([content_hash(bytes([level])) for level in levels], dtype=np.uint64),
        indices_M=np.arange(len(levels)),
        labels_N=np.array(labels, dtype=np.int64),
        class_names=("a", "b", "c"),
        file_names=names,
    )


def test_equal_a_count_by_hand() -> None:
    random = np.random.default_rng(0)
    levels, labels = random.integers(0, 40, 200).tolist(), random.integers(0, 3, 200).tolist()
    first: dict[int, int] = {}
    pairs = [(i, first[k]) for i, k in enumerate(levels) if first.setdefault(k, i) != i]
    contents = contents_of(levels, labels)
    copies = find_copies(contents, contents)
    assert copies.count == len(pairs) == 200 - len(set(levels))
    assert copies.other_label == sum(labels[i] != labels[j] for i, j in pairs)
    assert [(copy.name, copy.original) for copy in copies.named] == [
        (f"image {i}", f"image {j}") for i, j in pairs
    ]


def test_between_two_equal_a_count_by_hand() -> None:
    random = np.random.default_rng(1)
    sides = [(random.integers(0, 90, 80).tolist(), random.integers(0, 3, 80).tolist()) for _ in range(2)]
    (levels, labels), (other_levels, other_labels) = sides
    pairs = [(i, levels.index(k)) for i, k in enumerate(other_levels) if k in levels]
    copies = find_copies(*(contents_of(*side) for side in sides))
    assert copies.count == len(pairs)
    assert copies.other_label == sum(other_labels[i] != labels[j] for i, j in pairs)
    assert [(copy.name, copy.original) for copy in copies.named] == [
        (f"image {i}", f"image {j}") for i, j in pairs
    ]


def test_names_and_classes() -> None:
    contents = contents_of([5, 7, 5, 5], [0, 1, 0, 2], ("k", "l", "m", "n"))
    assert find_copies(contents, contents) == Copies(
        2, 1, (Copy("m", "a", "k", "a"), Copy("n", "c", "k", "a"))
    )


def test_a_split_that_is_its_own_double() -> None:
    one, two = contents_of([1, 2], [0, 1]), contents_of([1, 2], [0, 1])
    assert find_copies(one, one).count == 0
    assert find_copies(one, two).count == 2


def test_nothing_to_compare() -> None:
    some, none = contents_of([1, 1], [0, 0]), contents_of([], [])
    assert find_copies(some, none) == find_copies(none, some) == find_copies(none, none) == Copies(0, 0, ())


def test_most_are_counted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescli.data.verify.copies, "MOST_NAMED", 4)
    contents = contents_of([3] * 20, [0] * 20)
    copies = find_copies(contents, contents)
    assert (copies.count, len(copies.named)) == (19, 4)


def test_content_hash() -> None:
    assert content_hash(b"") != content_hash(b"\0") != content_hash(b"\0\0")
    assert content_hash(memoryview(b"abc")) == content_hash(b"abc")
    hashes = {content_hash(bytes([a, b])) for a in range(256) for b in range(256)}
    assert len(hashes) == 65536
    assert 0 <= min(hashes) < 2**54
    assert 2**64 - 2**54 < max(hashes) < 2**64
