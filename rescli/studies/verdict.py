"""A comparison in words: what was seen, how sure it is, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["verdict"]

_LEVEL = 0.05


def verdict(pair: Mapping[str, Any]) -> list[str]:
    """Sentences about one entry of ``pairs`` of a comparison."""
    first, second = pair["first"], pair["second"]
    if pair["reason"] is not None:
        return [f"{first} and {second} are not ranked: {pair['reason']}."]
    sentences = []
    for split, what in (("train", "training images"), ("test", "test images")):
        if split in pair:
            sentences += _about(first, second, pair[split], what)
    return sentences


def _about(first: str, second: str, found: Mapping[str, Any], what: str) -> list[str]:
    images, seeds = found["images"], found["seeds"]
    gap = seeds["difference"]
    higher = first if gap > 0 else second
    size = f"{abs(gap):.2f} points"
    several = min(seeds["counts"]) > 1
    if gap == 0:
        sentences = [f"On the {what} {first} and {second} make equally many errors."]
    else:
        means = f"{max(seeds['means']):.2f} against {min(seeds['means']):.2f} %"
        over = f", mean over {seeds['counts'][0]} and {seeds['counts'][1]} seeds" if several else ""
        sentences = [f"On the {what} {higher} has the higher error, by {size} ({means}{over})."]
    if several:
        sentences.append(_over_seeds(seeds))
    sentences.append(_on_images(images, first=several))
    if not several:
        sentences.append(
            "With one seed a side this is about these two trained nets, not about training anew."
        )
    return sentences


def _over_seeds(seeds: Mapping[str, Any]) -> str:
    if seeds["p_welch"] is None:
        return "The seeds do not vary, so there is no test over them."
    low, high = seeds["interval95"]
    sure = "more than seeds explain" if seeds["p_welch"] < _LEVEL else "no more than seeds may explain"
    return (
        f"Over seeds: 95 % interval of the difference {low:+.2f} to {high:+.2f} points, Welch p = "
        f"{_p(seeds['p_welch'])}, permutation p = {_p(seeds['p_permutation'])}: {sure}; differences from "
        f"{seeds['detectable']:.2f} points are found 4 times in 5."
    )


def _on_images(images: Mapping[str, Any], *, first: bool) -> str:
    low, high = images["interval95"]
    b, c = images["only_first_wrong"], images["only_second_wrong"]
    sure = "more than chance" if images["p_mcnemar"] < _LEVEL else "no more than chance explains"
    of_first = " (first seeds)" if first else ""
    found = images["detectable"]
    least = f"; differences from {found:.2f} points are found 4 times in 5" if found is not None else ""
    return (
        f"Image by image{of_first}: wrong alone {b} and {c} times of {images['num_images']}, 95 % interval "
        f"{low:+.2f} to {high:+.2f} points, exact McNemar p = {_p(images['p_mcnemar'])}: {sure}{least}."
    )


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "under 0.0001"
