"""What an error says and suggests, in the words of the command line."""

from __future__ import annotations

import shlex

from rescli.errors import RescliError
from rescli.remedy import Remedy

__all__ = ["as_flag", "next_steps", "worded"]


def as_flag(remedy: Remedy) -> str:
    """The flag, or the whole command, that a remedy stands for.

    >>> as_flag(Remedy("batch_size", 64)), as_flag(Remedy("optimizer.lr", 0.01))
    ('--batch-size 64', '--set optimizer.lr=0.01')
    """
    value = shlex.quote(str(remedy.value))
    if remedy.setting == "resume":
        flag = f"rescli train --resume {value}"
    elif remedy.setting == "results":
        flag = f"rescli eval CKPT --json > {value}"
    elif "." in remedy.setting:
        flag = f"--set {shlex.quote(f'{remedy.setting}={remedy.value}')}"
    else:
        flag = f"--{remedy.setting.replace('_', '-')}" + ("" if remedy.value is True else f" {value}")
    return flag + (f" ({remedy.note})" if remedy.note else "")


def worded(error: RescliError) -> str:
    """The error's message, in which the settings that it names are flags."""
    message = str(error)
    for setting in error.given:
        message = message.replace(str(setting), as_flag(setting))
    return message


def next_steps(error: RescliError) -> str:
    """Indented lines below the error's message; empty where it suggests nothing."""
    steps = [*([error.hint] if error.hint else []), *map(as_flag, error.remedies)]
    return "".join(f"\n  {'try: ' * step.startswith('rescli ')}{step}" for step in steps)
