"""Each part of a machine is looked at alone."""

from __future__ import annotations

from rescli.diagnosis.findings import Finding, Part, looked_at, size


def test_an_exception_is_one_line_of_the_report() -> None:
    def fail() -> Part:
        raise ValueError("no\x1b[31m such\nfile")

    part = looked_at("disk", fail)
    assert part.name == "disk"
    (found,) = part.findings
    assert found == Finding("note", "could not be looked at: ValueError: no\\x1b[31m such")


def test_an_exception_without_a_word_is_named() -> None:
    def fail() -> Part:
        raise ZeroDivisionError

    assert looked_at("disk", fail).findings[0].text == "could not be looked at: ZeroDivisionError"


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1e6, 170_498_071, 1.25e9, 4e12)] == [
        *("0 bytes", "999 bytes", "1 MB", "170 MB", "1.2 GB", "4.0 TB"),
    ]
