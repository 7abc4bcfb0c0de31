"""The handbook's table of faults is the one that was measured."""

from pathlib import Path

import pytest
from trials.table import Report, as_markdown

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_is_that_of_the_report() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    shown = page.partition("on PYTHONPATH -->\n")[2].partition("<!-- table: end")[0].strip()
    reports = sorted((ROOT / "benchmarks" / "results").glob("faults_*.json"))
    if not reports:
        pytest.skip("the results are not part of the source distribution")
    newest = reports[-1]
    report = Report.read(newest)
    assert shown == as_markdown(report)
    assert report.failed == []
