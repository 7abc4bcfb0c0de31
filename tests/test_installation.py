"""How rescli is installed: the command that installs an extra, and the files that come with it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rescli import installation
from rescli.installation import install_command, shipped

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel of this checkout is unpacked, as pip does."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    place = tmp_path_factory.mktemp("wheel")
    (built,) = hatchling.WheelBuilder(str(CHECKOUT)).build(directory=str(place), versions=["standard"])
    with zipfile.ZipFile(built) as content:
        content.extractall(place / "site")
    return place / "site"


class TestTheWheel:
    """What is installed without a checkout."""

    def test_it_has_the_handbook_and_the_presets(self, wheel: Path) -> None:
        for folder, suffix in (("docs", ".md"), ("presets", ".toml")):
            names = {path.relative_to(CHECKOUT) for path in (CHECKOUT / folder).rglob(f"*{suffix}")}
            assert names
            assert [name for name in sorted(names) if not (wheel / "rescli" / name).is_file()] == []

    def test_what_makes_the_handbook_stays_in_the_checkout(self, wheel: Path) -> None:
        assert not (wheel / "rescli" / "docs" / "scripts").exists()

    def test_nothing_else_came_along(self, wheel: Path) -> None:
        assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == {"rescli"}

    def test_what_errors_and_help_name_is_there(self, wheel: Path, tmp_path: Path) -> None:
        docs = wheel / "rescli" / "docs"
        for words, page in ((["--help"], docs / "README.md"), (["plugins", "--help"], docs / "plugins.md")):
            assert f"Handbook: {page}\n" in _printed(wheel, tmp_path, words, 0)
        said = _printed(wheel, tmp_path, ["presets", "show", "quikstart"], 2)
        assert f'  see: {docs / "troubleshooting.md"}, "Unknown name or key"\n' in said


def _printed(wheel: Path, cwd: Path, words: list[str], code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rescli", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_of_a_checkout_the_files_are_those_that_are_edited() -> None:
    assert shipped("docs") == CHECKOUT / "docs"
    assert shipped("presets") == CHECKOUT / "presets"


def test_a_stripped_installation_has_no_folder_and_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installation, "_PACKAGE", tmp_path / "rescli")
    assert not shipped("docs").exists()
