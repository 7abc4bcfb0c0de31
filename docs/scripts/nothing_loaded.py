"""A hook of MkDocs: no page of the site loads anything from elsewhere; links to follow may lead there."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

__all__ = ["on_post_page"]

_LOADS = re.compile(
    r"""<(?:img|script|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data|srcset)=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|next|prev))[^>]*?href=["']?(?:https?:)?//[^>]*>"""
    r"""|(?:@import|url\()\s*["']?(?:https?:)?//[^)"']*""",
    re.IGNORECASE,
)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Look at the HTML of one page.

    Raises:
        PluginError: it loads something.
    """
    if found := _LOADS.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0][:200]}")
    return output
