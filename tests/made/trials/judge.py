"""Whether a command stood a malformed file: by its exit code, its words, and what it took for sound."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trials.case import Case
from trials.process import Ended, ForkServer

__all__ = ["Judge", "essence"]

SECONDS, MEMORY = 20, 1_500_000_000
"""What a command on a malformed file may take where nothing else runs."""

DATA = 6 << 30
"""What the machine gives to one that would take all there is; importing takes a good part of it."""

_PASSING = re.compile(
    r"(_seconds|^cached$|^seconds|_sha256|^sha256|_per_second|^path|^file$|^out$|bytes|^checkpoint|^started|^updated)"
)
_STYLE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_FORMATTING = {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"}


def essence(ended: Ended) -> Any:
    """What a command found out: its JSON without times, hashes and paths; else its words."""
    try:
        return _without_passing(json.loads(ended.out))
    except ValueError:
        return re.sub(r"\d+(\.\d+)? (s|ms|min)\b", "", ended.out)


def _without_passing(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_passing(one) for key, one in value.items() if not _PASSING.search(key)}
        if isinstance(kept.get("tensors"), list):  # a file may list them in any order
            kept["tensors"].sort(key=str)
        return kept
    return [_without_passing(one) for one in value] if isinstance(value, list) else value


def first_difference(one: Any, other: Any, place: str = "") -> str:
    """Where two values of JSON differ, and how; empty where they do not."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(one[key], other[key], f"{place}.{key}") for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(a, b, f"{place}[{k}]") for k, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return "" if one == other else f"{place}: {str(one)[:300]} and {str(other)[:300]}"
    return next(filter(None, (first_difference(a, b, at) for a, b, at in pairs)), "")


@dataclass
class Judge:
    """Runs commands of one case and holds them against what is promised of malformed files.

    Args:
        server: begins them.
        home: where they work; names in their answers are looked for without it.
        environment: of all commands.
        sound: by command, what it found out of the sound files; shared by all cases of a session.
    """

    server: ForkServer
    home: Path
    environment: dict[str, str | None]
    sound: dict[str, Any] = field(default_factory=dict)

    def remember(self, key: str, *argv: object) -> Ended:
        """Run a command on sound files, once in a session; it must end well."""
        if key not in self.sound:
            ended = self.run(*argv)
            assert ended.code == 0, (argv, ended)
            self.sound[key] = ended
        found: Ended = self.sound[key]
        return found

    def run(self, *argv: object, seconds: float = SECONDS, **options: Any) -> Ended:
        env = {**self.environment, **options.pop("env", {})}
        options.setdefault("limits", {"RLIMIT_DATA": DATA})
        # Beside busy programs a process gets a part of the clock's time.
        seconds *= min(4.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
        return self.server.run(*argv, seconds=seconds, cwd=self.home, env=env, **options)

    def judge(
        self,
        case: Case,
        *argv: object,
        allowed: Collection[int],
        names: Collection[str] = (),
        like: Ended | None = None,
        seconds: float = SECONDS,
        **options: Any,
    ) -> Ended:
        """Run a command on a malformed file.

        Args:
            case: for the message.
            argv: the command.
            allowed: exit codes.
            names: one of which an error must mention; none given, any error will do.
            like: what the sound file gives. A command that ends well must find out the same.

        Raises:
            Failed: it did not stand it.
        """
        ended = self.run(*argv, seconds=seconds, **options)
        if options.get("env", {}).get("FORCE_COLOR"):  # whoever sets it asks for styles
            ended = replace(ended, out=_STYLE.sub("", ended.out), err=_STYLE.sub("", ended.err))
        command = "rescli " + " ".join(str(one)[:300] for one in argv)
        case = Case(case.part, case.seed, case.number, case.kind, f"{case.what} | {command}")
        ended.require(case, *allowed, memory=MEMORY)
        self._require_printable(case, ended)
        if re.search(r"^error: [A-Z]\w*Error: ", ended.err, re.MULTILINE):
            raise case.fails("wrong exit", f"nobody foresaw it: {ended.err[-1500:]}")
        if ended.code not in (0, 130):
            if not ended.err.strip():
                raise case.fails("wrong exit", f"exit {ended.code} without a word")
            said = re.sub(r"^  see: .*\n", "", ended.err, flags=re.MULTILINE)  # a heading is on many errors
            if names and ended.code != 2 and not any(name in said for name in names):
                raise case.fails("wrong exit", f"the error names none of {list(names)}: {ended.err[-2000:]}")
        elif ended.code == 0:
            if "--json" in argv:
                self._require_json(case, ended)
            if like is not None and (differs := first_difference(essence(like), essence(ended))):
                raise case.fails("unnoticed", f"exit 0, and not what the sound file gives: {differs}")
        return ended

    def _require_printable(self, case: Case, ended: Ended) -> None:
        for stream, text in (("stdout", ended.out), ("stderr", ended.err)):
            odd = {
                char
                for char in text
                if char not in "\n\t" and (unicodedata.category(char) in ("Cc", "Cs") or char in _FORMATTING)
            }
            if odd:
                raise case.fails(
                    "unnoticed", f"control characters reach {stream}: {sorted(odd)!r}\n{text[-1500:]!r}"
                )

    def _require_json(self, case: Case, ended: Ended) -> None:
        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is no JSON")

        try:
            json.loads(ended.out, parse_constant=refuse)
        except ValueError as error:
            raise case.fails(
                "unnoticed", f"not one JSON object on stdout: {error}\n{ended.out[-1500:]}"
            ) from error
