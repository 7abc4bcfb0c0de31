"""A comparison of two contenders in words: what was seen, how sure it is, and what it does not say."""

from __future__ import annotations

from rescli.plurals import counted, plural
from rescli.studies.rows import ImagesTest, PairRow, SeedsTest, SplitTests

__all__ = ["LEVEL", "higher_beyond_chance", "p_text", "pair_verdict"]

LEVEL = 0.05
"""A difference that chance would make less often than this counts as seen."""

_ROUNDING = 1e-9
"""Points of error: means of the same errors may differ by as much."""


def pair_verdict(pair: PairRow, *, at_chance: bool = False) -> list[str]:
    """Sentences about two contenders.

    Args:
        pair: with the tests of each split on which both were measured.
        at_chance: neither net learned anything, so a difference between them means nothing.
    """
    first, second = pair["first"], pair["second"]
    if pair["reason"] is not None:
        return [f"{first} and {second} are not ranked: {pair['reason']}."]
    sentences = []
    if "train" in pair:
        sentences += _about(first, second, pair["train"], "training images")
    if "test" in pair:
        sentences += _about(first, second, pair["test"], "test images")
    differ = any(tests["seeds"]["difference"] for tests in (pair.get("train"), pair.get("test")) if tests)
    if at_chance and differ:
        sentences.insert(0, "Neither learned: what follows is about differences between coin tosses.")
    return sentences


def higher_beyond_chance(tests: SplitTests) -> int:
    """Which side has the higher mean error, by more than chance explains: 1 the first, -1 the second, 0 none.

    Over seeds (Welch) where each side has several that vary; else image by image (exact McNemar) for the
    first seeds, where their difference is in the direction of the means.
    """
    images, seeds = tests["images"], tests["seeds"]
    gap = seeds["difference"]
    if abs(gap) < _ROUNDING:
        return 0
    side = 1 if gap > 0 else -1
    if min(seeds["counts"]) > 1 and seeds["p_welch"] is not None:
        return side if seeds["p_welch"] < LEVEL else 0
    return side if images["p_mcnemar"] < LEVEL and images["difference"] * gap > 0 else 0


def p_text(value: float) -> str:
    """A p-value as it is printed: two digits, and no more zeros than mean anything."""
    return f"{value:.2g}" if value >= 1e-4 else "under 0.0001"


def _about(first: str, second: str, found: SplitTests, what: str) -> list[str]:
    images, seeds = found["images"], found["seeds"]
    gap = seeds["difference"]
    higher = first if gap > 0 else second
    size = f"{abs(gap):.2f} points"
    several = min(seeds["counts"]) > 1
    if abs(gap) < _ROUNDING:
        sentences = [f"On the {what} {first} and {second} make equally many errors."]
    else:
        means = f"{max(seeds['means']):.2f} against {min(seeds['means']):.2f} %"
        counts = seeds["counts"] if gap > 0 else seeds["counts"][::-1]
        over = f", mean over {counts[0]} and {counts[1]} {plural('seed')}" if max(counts) > 1 else ""
        sentences = [f"On the {what} {higher} has the higher error, by {size} ({means}{over})."]
    if several:
        sentences.append(_over_seeds(seeds))
    sentences.append(_on_images(images, first=max(seeds["counts"]) > 1, gap=gap))
    if not several:
        sentences.append(
            "With one seed on a side this is about these two trained nets, not about training anew."
            if max(seeds["counts"]) > 1
            else "With one seed a side this is about these two trained nets, not about training anew."
        )
    return sentences


def _over_seeds(seeds: SeedsTest) -> str:
    if seeds["p_welch"] is None or seeds["p_permutation"] is None or seeds["interval95"] is None:
        return "The seeds do not vary, so there is no test over them: the images decide."
    low, high = seeds["interval95"]
    sure = "more than seeds explain" if seeds["p_welch"] < LEVEL else "no more than seeds may explain"
    return (
        f"Over seeds: 95 % interval of the difference {low:+.2f} to {high:+.2f} points, Welch p = "
        f"{p_text(seeds['p_welch'])}, permutation p = {p_text(seeds['p_permutation'])}: {sure}; "
        f"differences from {seeds['detectable']:.2f} points are found 4 times in 5."
    )


def _on_images(images: ImagesTest, *, first: bool, gap: float) -> str:
    if images["only_first_wrong"] == images["only_second_wrong"] == 0:
        # An interval of resampled images would be of no width, however few they are.
        seen = counted(images["num_images"], "image")
        return f"Image by image: wrong alone on none of {seen}, no more than chance explains."
    low, high = images["interval95"]
    b, c = images["only_first_wrong"], images["only_second_wrong"]
    sure = "more than chance" if images["p_mcnemar"] < LEVEL else "no more than chance explains"
    if images["p_mcnemar"] < LEVEL and images["difference"] * gap < 0:
        sure += ", and the other way round than the means"
    of_first = " (first seeds)" if first else ""
    found = images["detectable"]
    least = f"; differences from {found:.2f} points are found 4 times in 5" if found is not None else ""
    return (
        f"Image by image{of_first}: wrong alone {b} and {c} times of {images['num_images']}, 95 % interval "
        f"{low:+.2f} to {high:+.2f} points, exact McNemar p = {p_text(images['p_mcnemar'])}: {sure}{least}."
    )
