"""The classes of a set among those that a net knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

from rescli.errors import CheckpointError, UnknownNameError, UsageError, first_names, nearest
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["MATCHINGS", "Matching", "class_columns", "has_top5"]

_FIVE = 5
"""With so many classes or fewer, the true one is always among the five with the highest scores."""

Matching = Literal["same", "wnids", "names"]
"""How a set's classes belong to a net's: they are the same, or some of them, found by their WordNet ids or by
their names."""

MATCHINGS: tuple[Matching, ...] = get_args(Matching)

_NAMED = 3

_WNID = re.compile(r"n\d{8}")


def class_columns(net: Sequence[str], images: Sequence[str], matching: Matching) -> list[int]:
    """The net's output for each class of the images.

    Args:
        net: names of the net's outputs.
        images: names of the set's classes, in label order.
        matching: how the set's classes belong to the net's.

    Raises:
        CheckpointError: the net does not know the classes of the images, or has them in another order.
        UnknownNameError: there is no such way of matching.
        UsageError: the names are no WordNet ids, or two classes have one name.
    """
    if matching not in MATCHINGS:
        raise UnknownNameError("classes", matching, MATCHINGS)
    net, images = list(net), list(images)
    if matching == "same":
        if net == images:
            return list(range(len(net)))
        some = set(images) < set(net)
        unknown = [name for name in images if name not in net]
        how = "wnids" if all(_WNID.fullmatch(name) for name in images) else "names"
        raise CheckpointError(
            f"the checkpoint knows {counted(len(net), 'class')}, the data set has {len(images)}"
            + (", some of those" if some else "; their names or order differ")
            + f": {first_names(net)} against {first_names(images)}."
            + (
                f" Not among the net's: {_spelled(unknown, net)}."
                if unknown and set(images) & set(net)
                else ""
            ),
            remedy=Remedy("classes", how, "scores them as a part of the net's classes") if some else (),
            page="the-classes-are-others",
        )
    if matching == "wnids":
        for what, names in (("checkpoint's classes", net), ("data set's classes", images)):
            if other := [name for name in names if not _WNID.fullmatch(name)]:
                raise UsageError(
                    f"the {what} are not WordNet ids (n01440764): {first_names(other)}.",
                    remedy=Remedy("classes", "names", "finds them by their names"),
                )
    for what, names in (("checkpoint", net), ("data set", images)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(
                f"the {what} has several classes of one name, so it does not say which: {first_names(twice)}."
            )
    place = {name: column for column, name in enumerate(net)}
    if unknown := [name for name in images if name not in place]:
        raise CheckpointError(
            f"the checkpoint does not know {len(unknown)} of the data set's {counted(len(images), 'class')}: "
            f"{_spelled(unknown, net)}.",
            page="the-classes-are-others",
        )
    return [place[name] for name in images]


def _spelled(unknown: Sequence[str], known: Sequence[str]) -> str:
    """The first few names, each with a known one that is spelled nearly so."""
    near = [(name, nearest(name, known)) for name in unknown[:_NAMED]]
    named = [f"{name} ({like}?)" if like else name for name, like in near]
    return ", ".join(named) + (", ..." if len(unknown) > _NAMED else "")


def has_top5(num_classes: int) -> bool:
    """Whether a top-5 error means anything: of more than five classes."""
    return num_classes > _FIVE
