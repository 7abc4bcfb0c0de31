"""What a comparison showed, in one plain sentence: the paper's question first, where its nets are there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rescli.plurals import plural
from rescli.studies.rows import ContenderRow, PairRow, SplitTests
from rescli.studies.verdict import higher_beyond_chance

__all__ = ["summarize"]


def summarize(contenders: Sequence[ContenderRow], pairs: Sequence[PairRow]) -> list[str]:
    """The comparison in a sentence, and in more where something must be added.

    Where a plain net stands beside a deeper plain net, the sentence says whether the deeper one has the
    higher training error (degradation, Figure 1) and whether the ResNet of its depth has a lower one (the
    cure, Figure 6). Where no net learned anything, it says that and no more.
    """
    if all(one["at_chance"] for one in contenders):
        errors = ", ".join(f"{_error(one):.1f}" for one in contenders)
        return [
            f"No net learned: all are at chance (training errors {errors} %, no better than one answer for "
            "all images). Nothing can be said about the nets; they need more iterations."
        ]
    found = _Comparison(contenders, pairs)
    sentence = found.about_depth() or found.about_residual() or found.about_best()
    return [*([sentence] if sentence else []), *found.about_chance()]


class _Comparison:
    def __init__(self, contenders: Sequence[ContenderRow], pairs: Sequence[PairRow]) -> None:
        self._contenders = contenders
        self._pairs = {frozenset((pair["first"], pair["second"])): pair for pair in pairs}
        self._plain = sorted(_of_family(contenders, "plain"), key=_depth)

    def about_depth(self) -> str | None:
        """Degradation and its cure; None without two plain nets of different depth on the same images."""
        if len(self._plain) < 2:
            return None
        shallow, deep = self._plain[0], self._plain[-1]
        side = self._higher(deep, shallow)
        if side is None or _depth(shallow) == _depth(deep):
            return None
        layers, fewer = _depth(deep), _depth(shallow)
        against = f"({_error(deep):.2f} against {_error(shallow):.2f} %{_seeds(deep, shallow)})"
        twin = self._twin(deep)
        its, cured = f"the ResNet with {layers} layers", None
        if twin is not None:
            its_error, cured = f"{_error(twin):.2f} %", self._higher(deep, twin)
        if deep["at_chance"] and shallow["at_chance"]:
            text = f"Neither plain net learned, with {layers} layers or with {fewer} {against}"
            return f"{text}; {its} has a lower training error, {its_error}." if cured == 1 else f"{text}."
        if side == 1:
            seen = f"plain net's training error is higher with {layers} layers than with {fewer} {against}"
            if cured is None:
                return f"Degradation: the {seen}."
            if cured == 1:
                return f"Degradation and its cure: the {seen}, and {its} has a lower one, {its_error}."
            word = "has a still higher one" if cured == -1 else "is no better"
            return f"Degradation without its cure: the {seen}, and {its} {word}, {its_error}."
        if side == 0 and _same(deep, shallow):
            word = f"the same with {layers} layers as with {fewer}"
        else:
            word = "lower" if side == -1 else "not higher, beyond chance,"
            word = f"{word} with {layers} layers than with {fewer}"
        text = f"No degradation: the plain net's training error is {word} {against}"
        if cured == 1:
            text += f"; still {its} has a lower one, {its_error}"
        elif cured == -1:
            text += f"; {its} has a higher one, {its_error}"
        return f"{text}."

    def about_residual(self) -> str | None:
        """A plain net beside its residual twin; None where there is no such pair."""
        for plain in reversed(self._plain):
            twin = self._twin(plain)
            if twin is None or (side := self._higher(plain, twin)) is None:
                continue
            with_depth = f"With {_depth(plain)} layers"
            errors = f"({_error(twin):.2f} against {_error(plain):.2f} %{_seeds(plain, twin)})"
            if plain["at_chance"] and twin["at_chance"]:
                return f"{with_depth} neither the ResNet nor the plain net learned {errors}."
            if side == 0:
                word = "are the same" if _same(plain, twin) else "do not differ beyond chance"
                return f"{with_depth} the ResNet's and the plain net's training errors {word} {errors}."
            word = "lower" if side == 1 else "higher"
            return f"{with_depth} the ResNet has a {word} training error than the plain net {errors}."
        return None

    def about_best(self) -> str | None:
        """The lowest test error, and whether the next one differs; None where they are not ranked."""
        ranked = sorted(self._contenders, key=lambda one: _error(one, "test"))
        if any(self._tests(ranked[0], other, "test") is None for other in ranked[1:]) or len(ranked) < 2:
            return None
        best, second = ranked[:2]
        side = self._higher(second, best, "test")
        tied = [one for one in ranked if _same(one, best, "test")]
        if side == 0 and len(tied) > 1:
            names = f"{', '.join(one['label'] for one in tied[:-1])} and {tied[-1]['label']}"
            lowest = "same" if len(tied) == len(ranked) else "same, lowest"
            return f"{names} have the {lowest} test error: {_error(best, 'test'):.2f} %{_seeds(*tied)}."
        against = f"{_error(best, 'test'):.2f} against {_error(second, 'test'):.2f} % of {second['label']}"
        sure = "more than chance explains" if side else "no more than chance explains"
        return f"{best['label']} has the lowest test error: {against}{_seeds(best, second)}, {sure}."

    def about_chance(self) -> list[str]:
        """A sentence for each net that learned nothing beside others that did."""
        return [
            f"{one['label']} did not learn: its training error, {_error(one):.2f} %, is no better than one "
            "answer for all images."
            for one in self._contenders
            if one["at_chance"]
        ]

    def _higher(self, one: ContenderRow, other: ContenderRow, split: str = "train") -> int | None:
        """1 where ``one`` has the higher error, beyond chance, -1 where ``other`` has, 0 where neither does.

        None where nobody can say; between two nets that did not learn, neither.
        """
        tests = self._tests(one, other, split)
        if tests is None:
            return None
        if one["at_chance"] and other["at_chance"]:
            return 0
        pair = self._pairs[frozenset((one["label"], other["label"]))]
        return higher_beyond_chance(tests) * (1 if pair["first"] == one["label"] else -1)

    def _tests(self, one: ContenderRow, other: ContenderRow, split: str) -> SplitTests | None:
        pair = self._pairs.get(frozenset((one["label"], other["label"])))
        if pair is None:
            return None
        return pair.get("train") if split == "train" else pair.get("test")

    def _twin(self, plain: ContenderRow) -> ContenderRow | None:
        """The ResNet of a plain net's depth."""
        twins = _of_family(self._contenders, "resnet")
        return next((one for one in twins if _depth(one) == _depth(plain)), None)


def _of_family(contenders: Sequence[ContenderRow], family: str) -> list[ContenderRow]:
    return [one for one in contenders if _name(one)[0] == family and _depth(one)]


def _depth(one: ContenderRow) -> int:
    return _name(one)[1]


def _name(one: ContenderRow) -> tuple[str, int]:
    """Family and depth of ``plain-56`` and the like; of another net its name, and no depth."""
    found = re.fullmatch(r"(plain|resnet)-(\d+)", one["model"])
    return (found[1], int(found[2])) if found else (one["model"], 0)


def _error(one: ContenderRow, split: str = "train") -> float:
    figure = one["train_error"] if split == "train" else one["test_error"]
    return figure["mean"] if figure is not None else float("nan")


def _same(one: ContenderRow, other: ContenderRow, split: str = "train") -> bool:
    """Whether the errors cannot be told apart as they are written."""
    return f"{_error(one, split):.2f}" == f"{_error(other, split):.2f}"


def _seeds(*those: ContenderRow) -> str:
    counts = [len(one["runs"]) for one in those]
    if max(counts) == 1:
        return ""
    alike = len(set(counts)) == 1
    return f", mean over {counts[0] if alike else ' and '.join(map(str, counts))} {plural('seed')}"
