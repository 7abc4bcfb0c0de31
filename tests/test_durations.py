"""Durations there and back."""

from __future__ import annotations

import pytest

from rescli.durations import format_seconds, parse_seconds
from rescli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45", 45),
        ("90s", 90),
        ("20m", 20 * 60),
        ("1h30m", 3600 + 30 * 60),
        ("1h 30m", 3600 + 30 * 60),
        ("2h5s", 2 * 3600 + 5),
        ("1.5h", 5400),
        ("0.5", 0.5),
        ("100m", 6000),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "20 minutes", "m", "-5m", "1d", "5m soon", "1e3", "20M", "5:00"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration; write 90s, 20m or 1h30m") as caught:
        parse_seconds(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m"])
def test_nothing_can_be_done_in_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="longer than 0"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.34, "8.3 s"),
        (59.9, "59.9 s"),
        (59.99, "1 min 0 s"),  # never "60.0 s"
        (60, "1 min 0 s"),
        (725, "12 min 5 s"),
        (3599.6, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (86399.9, "1 d 0 h"),
        (2 * 86400 + 4 * 3600 + 59 * 60, "2 d 4 h"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize("seconds", [61, 725, 3599, 12000, 86340])
def test_what_is_printed_can_be_typed(seconds: int) -> None:
    """Up to the unit that is left out: seconds from an hour on."""
    typed = format_seconds(seconds).replace(" min", "m").replace(" h", "h").replace(" s", "s")
    assert seconds - parse_seconds(typed) == (seconds % 60 if seconds >= 3600 else 0)
