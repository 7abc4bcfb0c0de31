"""The error tree: exit codes, messages, nearest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescli import errors
from rescli.errors import RescliError, UnknownNameError, UsageError, first_line, nearest
from rescli.hardware.stop_signals import FROM_PEOPLE
from rescli.remedy import Remedy

EXIT_CODES = {
    "UsageError": 2,
    "SpecError": 2,
    "UnknownNameError": 2,
    "NoMemoryError": 2,
    "RunDirError": 2,
    "WriteError": 1,
    "DataError": 3,
    "CheckpointError": 4,
    "DivergedError": 5,
    "LostRankError": 1,
    "LostWorkersError": 1,
    "VerificationError": 6,
    "Interrupted": 130,
}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_exit_code(name: str, code: int) -> None:
    error_class = getattr(errors, name)
    assert issubclass(error_class, RescliError)
    assert error_class.exit_code == code


def test_every_exported_error_has_its_code_in_the_table_above() -> None:
    exported = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert exported - {"RescliError"} == EXIT_CODES.keys()


def test_every_place_says_the_same_of_an_interruption() -> None:
    docs = Path(__file__).parents[1] / "docs"
    said = "SIGINT, SIGTERM, SIGHUP, or what schedulers send before a limit; of a training the state is saved"
    for text in (errors.__doc__ or "", *map(Path.read_text, (docs / "python.md", docs / "command-line.md"))):
        assert said in " ".join(text.split())
    assert said.startswith(", ".join(number.name for number in FROM_PEOPLE))


def test_docstring_draws_every_error_with_its_code() -> None:
    drawn = errors.__doc__ or ""
    for name, code in EXIT_CODES.items():
        line = next(line for line in drawn.splitlines() if f"─ {name}" in line)
        inherited = getattr(errors, name).__bases__[0] is UsageError
        assert inherited or str(code) in line.split()


def test_message_and_hint() -> None:
    error = UsageError("no such thing", hint="rescli models")
    assert (str(error), error.hint) == ("no such thing", "rescli models")
    assert UsageError("no such thing").hint is None


def test_unknown_name_says_what_was_given_what_there_is_and_the_nearest() -> None:
    error = UnknownNameError("preset", "quikstart", ["shapes/base", "quickstart"])
    assert str(error) == (
        "unknown preset 'quikstart'; known: quickstart, shapes/base. Did you mean 'quickstart'?"
    )


def test_unknown_name_guesses_nothing_when_nothing_is_near() -> None:
    assert str(UnknownNameError("model", "zzz", ["resnet"])) == "unknown model 'zzz'; known: resnet."
    assert str(UnknownNameError("model", "resnet", [])) == "unknown model 'resnet'; known: none."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("optimiser", "optimizer"),  # British
        ("OPTIMIZER", "optimizer"),  # case does not matter
        ("schedul", "schedule"),
        ("xyz", None),
        ("", None),
    ],
)
def test_nearest(given: str, expected: str | None) -> None:
    assert nearest(given, ["optimizer", "schedule", "seed"]) == expected


def test_nearest_gives_the_name_as_it_is_written() -> None:
    assert nearest("pascalvoc", ["PascalVOC"]) == "PascalVOC"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("out of memory\ntried to allocate"), "out of memory"),
        (RuntimeError("\n  shapes differ"), "shapes differ"),
        (RuntimeError(), "RuntimeError"),
        (ValueError(" \n "), "ValueError"),
    ],
)
def test_first_line_is_never_empty(error: Exception, expected: str) -> None:
    assert first_line(error) == expected


def test_a_remedy_is_an_argument_in_python_and_a_note_of_the_traceback() -> None:
    error = UsageError(
        "too large", hint="see the docs", remedy=[Remedy("batch_size", 64), Remedy("a.b", "x")]
    )
    assert [str(remedy) for remedy in error.remedies] == ["batch_size=64", 'changes={"a.b": "x"}']
    assert str(Remedy("resume", "runs/x", "on this machine")) == 'rescli.resume("runs/x") (on this machine)'
