"""A table prints as columns, shows itself as HTML, and becomes a frame; a result in a shell is ten lines."""

import importlib

import pytest

from rescli.errors import UsageError
from rescli.report.table import Column, Table, frame_of, short

COLUMNS = [
    Column("net", lambda row: row[0]),
    Column("error", lambda row: f"{row[1]:.1f}", lambda row: row[1]),
]
ROWS = [("resnet-8", 8.25), ("<b>", 12.0)]


def test_words_stand_on_the_left_and_numbers_on_the_right():
    table = Table.of(COLUMNS, ROWS)
    assert str(table).splitlines() == ["net       error", "resnet-8    8.2", "<b>        12.0"]
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<caption>a &amp; b</caption>" in table.to_html(caption="a & b")


def test_a_long_table_is_short_in_a_shell_and_a_notebook():
    table = Table.of(COLUMNS, ROWS * 1000)
    assert len(repr(table).splitlines()) == 10
    assert table._repr_html_().count("<tr>") == 51
    assert "1,950 more" in table._repr_html_()
    assert len(str(table).splitlines()) == 2001


def test_a_frame_has_numbers():
    pytest.importorskip("pandas")
    frame = Table.of(COLUMNS, ROWS).to_frame()
    assert list(frame["net"]) == ["resnet-8", "<b>"]
    assert list(frame["error"]) == [8.25, 12.0]
    assert list(Table.of(COLUMNS, []).to_frame().columns) == ["net", "error"]


def test_without_pandas_every_frame_says_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    for make in (Table.of(COLUMNS, ROWS).to_frame, lambda: frame_of([{"a": 1}])):
        with pytest.raises(UsageError, match="pandas is not installed") as caught:
            make()
        assert caught.value.hint == "pip install pandas"


def test_what_a_shell_shows_fits_it():
    shown = short("Things", ["x" * 300, *map(str, range(20))]).splitlines()
    assert len(shown) == 10
    assert max(map(len, shown)) <= 100
    assert shown[-1] == "  ... 13 more"
