"""What ``rescli doctor`` prints: a sentence a line, broken where the terminal ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescli.cli.output.columns import hanging
from rescli.cli.remedies import as_flag

if TYPE_CHECKING:
    from rescli.diagnosis.findings import Finding
    from rescli.workflows.results.checkup import Checkup

__all__ = ["print_checkup"]

_COLORS = {"ok": "green", "note": "yellow", "problem": "bold red"}
_INDENT = 11


def print_checkup(checkup: Checkup) -> None:
    """Print all of it at once, so that a reader who wants the first lines alone ends nothing."""
    from rich.text import Text

    from rescli.report.console import SafeConsole

    shown = Text()
    for part in checkup.parts:
        shown.append(f"{part.name}\n", style="bold")
        for finding in part.findings:
            level, text = finding.level, finding.text
            lines = hanging(f"  {level:7}  ", text)
            shown.append(lines[: 2 + len(level)], style=_COLORS[level])
            shown.append(f"{lines[2 + len(level) :]}\n")
            for line in _what_to_do(finding):
                shown.append(f"{hanging(' ' * _INDENT + '> ', line)}\n", style="dim")
    shown.append(hanging("", checkup.summary))
    SafeConsole().print(shown, soft_wrap=True)


def _what_to_do(finding: Finding) -> list[str]:
    return [*filter(None, [finding.hint]), *map(as_flag, finding.remedies)]
