"""The one door for JSON and TOML that lay on a disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import with_config
from typing_extensions import TypedDict

from rescli.errors import CheckpointError, DataError, UsageError
from rescli.stored.json_values import as_stored, parse_json, parse_toml, read_stored
from rescli.stored.values import EXACT, Count, FileName, Interval, Percent, Sha256


@with_config(EXACT)
class Inner(TypedDict, total=False):
    interval95: Interval
    top1_error: Percent | None


@with_config(EXACT)
class Outer(TypedDict, total=False):
    count: Count
    file: FileName
    sha256: Sha256
    results: dict[str, Inner | None]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"count": -1}, "count is -1; allowed: 0 or more, of 64 bits"),
        ({"count": True}, "count is true; allowed: a whole number"),
        ({"count": 1.0}, "count is 1.0; allowed: a whole number"),
        ({"count": None}, "count is null; allowed: a whole number"),
        ({"file": "../x"}, "file is '../x'; allowed: the name of a file beside it"),
        ({"sha256": "ab"}, "sha256 is 'ab'; allowed: the 64 hex digits of a sha256"),
        ({"results": 3}, "results is 3; allowed: an object"),
        ({"results": {"val": "x" * 99}}, f"results.val is '{'x' * 40}...'; allowed: an object"),
        ({"results": {"val": {"interval95": [1]}}}, "results.val.interval95 is a list of 1; allowed: two"),
        ({"results": {"val": {"interval95": [-1, 2]}}}, "results.val.interval95[0] is -1; allowed: 0 to 100"),
        (
            {"results": {"val": {"top1_error": float("nan")}}},
            "results.val.top1_error is NaN; allowed: a finite",
        ),
        ({"results": {"\x1b[31m": 1}}, "results.\\x1b[31m is 1; allowed: an object"),
        ([], "it is a list of 0; allowed: an object"),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(value: object, says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        as_stored(value, Outer, CheckpointError)
    assert str(caught.value).startswith(says)


def test_extra_keys_and_the_value_itself_come_through() -> None:
    value = {"count": 3, "of a later version": object(), "results": {"val": None}}
    assert as_stored(value, Outer, CheckpointError) is value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deep"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
        ('{"a": 1, "a": 1}', "the key 'a' stands twice"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        (f'{{"a": {10**19}}}', "more than 64 bits"),
        ("1" * 5000, "Exceeds the limit"),
        ('["\\ud83d"]', "an unpaired surrogate"),
        ('{"\\uDFFF": 1}', "an unpaired surrogate"),
        ("", "Expecting value"),
        (b"\xff", "utf-8"),
    ],
)
def test_what_cannot_be_used_is_no_value(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_what_earlier_versions_wrote_is_a_value() -> None:
    kept = {"name": "caf\udce9", "pair": "\U0001f600", "n": 2**63 - 1, "deep": [[[[]]]] * 40}
    assert parse_json(json.dumps(kept)) == kept
    assert parse_json(b"\xef\xbb\xbf3") == 3


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, f"a = {10**19}", "a = " + "1" * 5000, "a = [", "a=1\na=2"]
)
def test_toml_is_held_to_the_same(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says another thing, and none is another error
        parse_toml(text)


def test_a_file_is_named_and_its_error_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(DataError, match=f"no such file: {path}"):
        read_stored(path, Outer, error=DataError)
    path.write_text('{"count": "x"}')
    with pytest.raises(
        UsageError, match=f"{path} is damaged: count is 'x'; allowed: a whole number."
    ) as caught:
        read_stored(path, Outer, error=UsageError, hint="again")
    assert caught.value.hint == "again"
    with pytest.raises(CheckpointError, match="Is a directory"):
        read_stored(tmp_path, Outer)


def test_base64_needs_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescli.stored.json_values._check", lambda _value: pytest.fail("a second look"))
    text = f"AbC0{'7' * 20}+/=="
    assert parse_json(json.dumps({"mean_float32_base64": text})) == {"mean_float32_base64": text}
