"""Numbers with their nouns, as people write them: ``1 image``, ``2,000 images``."""

from __future__ import annotations

import re

__all__ = ["an", "are", "counted", "every", "image_of", "plural"]

_VOWEL_SOUND = re.compile(r"[aeioAEIO]|8|1[18](?!\d)")
_HISSING = re.compile(r"(s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")


def counted(count: int, noun: str) -> str:
    """The number, with commas, and the noun in the form that fits it.

    Args:
        count: how many.
        noun: what they are, in the singular; its last word is the one that changes.

    >>> counted(1, "image"), counted(2000, "class folder"), counted(0, "class")
    ('1 image', '2,000 class folders', '0 classes')
    """
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Several of them: ``images``, ``classes``, ``copies``.

    >>> plural("image"), plural("val class"), plural("copy"), plural("day")
    ('images', 'val classes', 'copies', 'days')
    """
    if _CONSONANT_Y.search(noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if _HISSING.search(noun) else f"{noun}s"


def are(count: int) -> str:
    """``is`` of one, ``are`` of none or several."""
    return "is" if count == 1 else "are"


def an(what: str) -> str:
    """The words with their article: ``a PNG image``, ``an AVIF image``, ``an 18-layer net``.

    >>> an("HEIF image"), an("OrderedDict"), an("8-layer net"), an("110-layer net")
    ('a HEIF image', 'an OrderedDict', 'an 8-layer net', 'a 110-layer net')
    """
    return f"{'an' if _VOWEL_SOUND.match(what) else 'a'} {what}"


def every(count: int, noun: str) -> str:
    """How often something happens: ``every iteration``, ``every 500 iterations``.

    >>> every(1, "iteration"), every(500, "iteration")
    ('every iteration', 'every 500 iterations')
    """
    return f"every {noun if count == 1 else counted(count, noun)}"


def image_of(split: str) -> str:
    """What the images of a part are called: ``val image``; of the part ``all``, the whole set, ``image``.

    >>> counted(2, image_of("val")), counted(1, image_of("all"))
    ('2 val images', '1 image')
    """
    return "image" if split == "all" else f"{split} image"
