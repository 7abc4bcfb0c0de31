"""A text that counts lets ``rescli.plurals`` find the form of the noun."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from house import TREES

_NOT_A_COUNT = re.compile(r"^-?[.\d]*[efg%]$")
"""Formats of numbers that are measured and not counted."""

_COUNTS = re.compile(
    r"^(len|sum)\(|^(count|n|number|cores|threads|nets|steps|iterations|wrong|few|shown)$"
    r"|num_|_per_step|counts?\b|iterations|patience|rounds|batch_size|ranks\.size|\.cores|get_num_threads"
)
"""Expressions that say how many there are."""

_PLURAL = re.compile(
    r"^ (?!of )(?:[\w-]+ ){0,2}(images|classes|tensors|bytes|names|threads|processes|layers|kernels|"
    r"operations|seeds|runs|nets|iterations|evaluations|pictures|mistakes|checkpoints|folders|files|labels|faults|epochs|"
    r"parameters|cores|values|points|choices|times|rounds|others|workers|members)\b"
)


def _texts() -> Iterator[tuple[str, str, str]]:
    """(place, expression, what follows it) of every value in an f-string."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, after in zip(node.values, node.values[1:], strict=False):
                if not (isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant)):
                    continue
                how = "".join(
                    str(getattr(part, "value", "")) for part in getattr(value.format_spec, "values", ())
                )
                if not _NOT_A_COUNT.match(how.replace(",", "")):
                    yield (
                        f"{module}:{value.lineno}",
                        ast.unparse(value.value),
                        str(after.value),
                    )


def test_no_text_puts_a_count_before_a_plural_of_its_own() -> None:
    """Where there may be one of them, ``counted`` finds the form."""
    wrong = [
        f"{place}: {{{expression}}}{after[:30]}"
        for place, expression, after in _texts()
        if _COUNTS.search(expression) and _PLURAL.match(after)
    ]
    assert wrong == []
