"""What a comparison showed, in one plain sentence: the paper's question first, where its nets are there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rescli.studies.rows import ContenderRow, PairRow, SplitTests
from rescli.studies.verdict import is_significant

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
        hurt = self._worse(deep, shallow)
        if hurt is None or _depth(shallow) == _depth(deep):
            return None
        against = f"({_error(deep):.2f} against {_error(shallow):.2f} %{_seeds(deep, shallow)})"
        twin = self._twin(deep)
        layers, fewer = _depth(deep), _depth(shallow)
        cured = self._worse(deep, twin) if twin is not None else None
        if hurt:
            seen = f"plain net's training error is higher with {layers} layers than with {fewer} {against}"
            if twin is None or cured is None:
                return f"Degradation: the {seen}."
            its = f"the ResNet with {layers} layers"
            if cured:
                return (
                    f"Degradation and its cure: the {seen}, and {its} has a lower one, {_error(twin):.2f} %."
                )
            return f"Degradation without its cure: the {seen}, and {its} is no better, {_error(twin):.2f} %."
        lower = self._worse(shallow, deep)
        word = "lower" if lower else "not higher, beyond chance,"
        text = f"the plain net's training error is {word} with {layers} layers than with {fewer} {against}"
        text = f"No degradation: {text}"
        if twin is not None and cured:
            text += f"; still the ResNet with {layers} layers has a lower one, {_error(twin):.2f} %"
        return f"{text}."

    def about_residual(self) -> str | None:
        """A plain net beside its residual twin; None where there is no such pair."""
        for plain in reversed(self._plain):
            twin = self._twin(plain)
            if twin is None or (worse := self._worse(plain, twin)) is None:
                continue
            with_depth = f"With {_depth(plain)} layers the"
            errors = f"({_error(twin):.2f} against {_error(plain):.2f} %{_seeds(plain, twin)})"
            if not worse and not self._worse(twin, plain):
                return f"{with_depth} ResNet's and the plain net's training errors do not differ {errors}."
            word = "lower" if worse else "higher"
            return f"{with_depth} ResNet has a {word} training error than the plain net {errors}."
        return None

    def about_best(self) -> str | None:
        """The lowest test error, and whether the next one differs; None where they are not ranked."""
        ranked = sorted(self._contenders, key=lambda one: _error(one, "test"))
        tests = self._tests(ranked[0], ranked[1], "test") if len(ranked) > 1 else None
        if tests is None:
            return None
        best, second = ranked[:2]
        against = f"{_error(best, 'test'):.2f} against {_error(second, 'test'):.2f} % of {second['label']}"
        sure = "more than chance explains" if is_significant(tests) else "no more than chance explains"
        return f"{best['label']} has the lowest test error: {against}{_seeds(best, second)}, {sure}."

    def about_chance(self) -> list[str]:
        """A sentence for each net that learned nothing beside others that did."""
        return [
            f"{one['label']} did not learn: its training error, {_error(one):.2f} %, is no better than one "
            "answer for all images."
            for one in self._contenders
            if one["at_chance"]
        ]

    def _worse(self, one: ContenderRow, other: ContenderRow) -> bool | None:
        """Whether ``one`` has the higher training error, beyond chance; None where nobody can say."""
        tests = self._tests(one, other, "train")
        return None if tests is None else _error(one) > _error(other) and is_significant(tests)

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


def _seeds(*those: ContenderRow) -> str:
    fewest = min(len(one["runs"]) for one in those)
    return f", mean over {fewest} seeds" if fewest > 1 else ""
