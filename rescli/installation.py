"""How this rescli was installed: where the files lie that come with it, and what installs more of it."""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

from rescli.foreign_text import shell_word

__all__ = ["install_command", "shipped"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """A folder of a checkout, so that edits count at once, else the copy inside the wheel.

    Args:
        folder: its name, ``presets`` or ``docs``; it need not be there.
    """
    checkout = _PACKAGE.parent / folder
    # os.path answers no where pathlib raises: a folder that may not be looked into is as good as none.
    is_checkout = os.path.isfile(_PACKAGE.parent / "pyproject.toml") and os.path.isdir(checkout)
    return checkout if is_checkout else _PACKAGE / folder


def install_command(extra: str) -> str:
    """What installs an extra of rescli: from the checkout that it came from, else by its name."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e {shell_word(f'{checkout}[{extra}]')}"
    place = _folder_of_install() or "rescli"
    return f"pip install {shell_word(f'{place}[{extra}]')}"


def _folder_of_install() -> str | None:
    """The folder of ``pip install FOLDER``, as pip noted it (PEP 610); None for any other way."""
    try:
        origin = json.loads(distribution("rescli").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    return unquote(urlparse(origin["url"]).path) if "dir_info" in origin else None
