"""The command that installs an extra, by how rescli itself was installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescli import installation
from rescli.installation import install_command

CHECKOUT = Path(__file__).resolve().parent.parent


def test_of_a_checkout_it_names_the_checkout() -> None:
    assert install_command("onnx") == f"pip install -e '{CHECKOUT}[onnx]'"


@pytest.mark.parametrize(
    ("noted", "command"),
    [
        (
            '{"url": "file:///home/a%20b/rescli", "dir_info": {}}',
            "pip install '/home/a b/rescli[onnx]'",
        ),
        ('{"url": "https://host/rescli.whl", "archive_info": {}}', "pip install 'rescli[onnx]'"),
        (None, "pip install 'rescli[onnx]'"),
        ("{", "pip install 'rescli[onnx]'"),
    ],
)
def test_elsewhere_it_is_what_pip_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, noted: str | None, command: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return {"direct_url.json": noted}[name]

    monkeypatch.setattr(installation, "__file__", str(tmp_path / "rescli" / "installation.py"))
    monkeypatch.setattr(installation, "distribution", lambda _name: Installed())
    assert install_command("onnx") == command
