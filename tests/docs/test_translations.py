"""No translated page is older than its original, and the script that says so sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def translations(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "docs" / "scripts")
    import translations  # type: ignore[import-not-found]

    return translations


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A page and its translation, which is not stamped yet."""
    (tmp_path / "docs/ko").mkdir(parents=True)
    (tmp_path / "docs/tour.md").write_text("# The tour\n")
    (tmp_path / "docs/ko/tour.md").write_text(
        "<!-- translation of docs/tour.md at sha256:... -->\n# 둘러보기\n"
    )
    return tmp_path


def test_every_translation_is_up_to_date() -> None:
    command = [sys.executable, "docs/scripts/translations.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_page_that_was_never_stamped_is_stale(translations: Any, checkout: Path) -> None:
    assert translations.stale_pages(checkout) == {"docs/ko/tour.md": "older than docs/tour.md"}


def test_a_stamped_page_is_up_to_date_until_its_original_changes(translations: Any, checkout: Path) -> None:
    translations.stamp(checkout / "docs/ko/tour.md", checkout)
    assert translations.stale_pages(checkout) == {}
    assert (checkout / "docs/ko/tour.md").read_text().endswith(" -->\n# 둘러보기\n")
    (checkout / "docs/tour.md").write_text("# The tour\n\nTwo minutes.\n")
    assert translations.stale_pages(checkout) == {"docs/ko/tour.md": "older than docs/tour.md"}


def test_a_page_without_an_original_is_named(translations: Any, checkout: Path) -> None:
    (checkout / "docs/ko/tour.md").write_text("# 둘러보기\n")
    assert "does not say which page" in translations.stale_pages(checkout)["docs/ko/tour.md"]
    (checkout / "docs/ko/tour.md").write_text("<!-- translation of docs/gone.md at sha256:... -->\n")
    assert "docs/gone.md is not there" in translations.stale_pages(checkout)["docs/ko/tour.md"]
    with pytest.raises(ValueError, match="first line"):
        translations.stamp(checkout / "docs/ko/tour.md", checkout)
