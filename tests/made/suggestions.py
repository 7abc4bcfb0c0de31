"""Reads what a command suggests, as people do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from rescli import registry

_COMMANDS = "|".join(sorted(registry.names("commands")))


def without_note(line: str) -> str:
    """Shells skip what stands behind ``  #``; nobody types what stands in parentheses at the end."""
    return re.sub(r" \([^()]*(\([^()]*\)[^()]*)*\)$", "", line.split("  #")[0].rstrip())


def _flags(words: Sequence[str]) -> list[str]:
    """The flags at the beginning of a line, up to the first word of a sentence."""
    taken: list[str] = []
    for place, word in enumerate(words):
        after_flag = place > 0 and words[place - 1].startswith("--")
        if not word.startswith("--") and not after_flag:
            break
        taken.append(word.removesuffix(",") if after_flag else word)
    return taken


def suggestions_of(text: str) -> Iterator[str]:
    """Every command and every set of flags that the lines of an output offer."""
    for line in text.splitlines():
        if found := re.search(r"^  (--[a-z].*)", line):
            yield shlex.join(_flags(_split(without_note(found[1]))))
        elif found := re.search(rf"(?:^  (?:try: )?|: +|; )(rescli (?:{_COMMANDS})\b.*)", line):
            yield from (without_note(one) for one in re.split(r"; (?=rescli )", found[1]))
        elif found := re.search(r"(?:: try |  try: )(--[a-z].*)", line):
            yield shlex.join(_flags(_split(without_note(found[1]))))
        elif found := re.search(r"; try (--?[a-z].*|rescli .*)", line):
            for way in found[1].split(" | "):
                way = without_note(way)
                yield way if way.startswith("rescli ") else shlex.join(_flags(_split(way)))


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an apostrophe of the sentence behind it
        return line.split()


def with_flags(typed: Sequence[str], flags: Sequence[str]) -> list[str]:
    """What was typed, with flags beside or in place of its own."""
    kept = list(typed)
    pairs: list[list[str]] = []
    for word in flags:
        if word.startswith("--"):
            pairs.append([word])
        else:
            pairs[-1].append(word)
    for pair in pairs:
        for at, word in enumerate(kept):
            if word == pair[0] and (word != "--set" or _key(kept[at + 1]) == _key(pair[1])):
                del kept[at : at + len(pair)]
                break
    return [*kept, *(word for pair in pairs for word in pair)]


def _key(pair: str) -> str:
    return pair.partition("=")[0]


def each_flag(line: str) -> list[str]:
    return (
        [f"--{one.strip()}" for one in line.split("--") if one.strip()] if line.startswith("--") else [line]
    )
