"""What a file holds that Pillow does not recognise: an image for one of its plugins, or no image."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from rescli.errors import DataError
from rescli.installation import install_command
from rescli.plurals import an

__all__ = ["begins_as_image", "read_with_plugin", "register_plugins", "what_it_holds"]


@dataclass(frozen=True)
class _Plugin:
    """A package that teaches Pillow a format.

    Args:
        name: of the format.
        module: what is imported.
        register: called then, by name; None where the import is enough.
        install: the command that installs it.
    """

    name: str
    module: str
    register: str | None
    install: Callable[[], str]


_HEIC = _Plugin("HEIC", "pillow_heif", "register_heif_opener", lambda: install_command("heif"))
_AVIF = _Plugin("AVIF", "pillow_avif", None, lambda: "pip install 'Pillow>=11.3'")
_JXL = _Plugin("JPEG XL", "pillow_jxl", None, lambda: "pip install pillow-jxl-plugin")

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_JXL_HEADS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

_OTHERS = (
    (b"version https://git-lfs", "the pointer of Git LFS in place of the file: git lfs pull fetches it"),
    (b"%PDF", "a PDF document, not an image"),
    (b"PK\x03\x04", "a ZIP archive, not an image"),
    (b"\x1f\x8b", "a gzip archive, not an image"),
    (b"RIFF", "a damaged WebP image, or a video or a sound"),
    (b"\x1aE\xdf\xa3", "a video, not an image"),
)
_IMAGE_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*", b"BM")


def read_with_plugin(head: bytes, name: str) -> bool:
    """Whether a plugin that was just registered may read the file.

    Args:
        head: its first bytes.
        name: what errors call it.

    Raises:
        DataError: it is of a format that needs a plugin which is not installed.
    """
    plugin = _plugin_for(head)
    if plugin is None:
        return False
    if not _register(plugin):
        raise DataError(
            f"{name} cannot be decoded: it is {an(f'{plugin.name} image')}, and nothing that reads those is "
            "installed.",
            hint=f"install it: {plugin.install()}; or convert the image",
            page="an-extra-is-missing",
        )
    return True


def register_plugins() -> None:
    """Let Pillow know of every plugin that is installed, so that it knows their suffixes too."""
    for plugin in (_HEIC, _AVIF, _JXL):
        _register(plugin)


def begins_as_image(head: bytes) -> bool:
    """Whether a file is an image by its first bytes, whatever its name is, of any format that can be read.

    Args:
        head: 64 bytes, or all there are.
    """
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    # Two letters are too few to tell a bitmap from a text.
    known = tuple(start for start in _IMAGE_HEADS if len(start) > 2)
    return head.startswith(known) or _plugin_for(head) is not None


def what_it_holds(head: bytes) -> str:
    """Why a file that no plugin reads is no image, by its first bytes."""
    if not head:
        return "it is empty"
    if not any(head):
        return "it holds zeros alone"
    for beginning, what in _OTHERS:
        if head.startswith(beginning):
            return f"it holds {what}"
    if head[4:8] == b"ftyp":
        return "it holds a video, not an image"
    if head.startswith(_IMAGE_HEADS):
        return "it is damaged: it begins as an image, and its header is broken"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "it holds a web page (HTML), not an image"
    if text.startswith((b"<svg", b"<?xml")):
        return "it holds XML or a drawing (SVG), not pixels"
    if b"\0" not in head and _is_text(head):
        return "it holds text, not an image"
    return "it holds no image of a format that is read here"


def _plugin_for(head: bytes) -> _Plugin | None:
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[start : start + 4] for start in range(16, length - 3, 4))}
        if brands & _AVIF_BRANDS:
            return _AVIF
        return _HEIC if brands & _HEIC_BRANDS else None
    return _JXL if head.startswith(_JXL_HEADS) else None


@cache
def _register(plugin: _Plugin) -> bool:
    try:
        module = importlib.import_module(plugin.module)
    except ImportError:
        return False
    if plugin.register is not None:
        getattr(module, plugin.register)()
    return True


def _is_text(head: bytes) -> bool:
    try:
        head[:-3].decode("utf-8")  # the last character may be cut in its middle
    except UnicodeDecodeError:
        return False
    return True
