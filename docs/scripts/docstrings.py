"""An extension of griffe, which reads the docstrings for the site: a single example is a section, too."""

from __future__ import annotations

from typing import Any

import griffe

__all__ = ["SingleExamples"]


class SingleExamples(griffe.Extension):
    """Griffe knows ``Examples:`` alone as code; our docstrings have one example, below ``Example:``."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one module, class or function before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
