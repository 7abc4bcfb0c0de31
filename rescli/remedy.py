"""What would mend an error, in words that neither the command line nor Python owns."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Remedy"]


@dataclass(frozen=True)
class Remedy:
    """A setting that would mend an error: the command line words it as a flag, Python as an argument.

    Args:
        setting: the name of an argument (``"device"``, ``"batch_size"``), a key of the spec
            (``"optimizer.lr"``), or ``"resume"``, which continues the run directory ``value``.
        value: what to give it; a word in capitals, such as ``"DIR"``, where the user has to choose.
            True for a switch.
        note: what else the user should know of it.

    Example:
        >>> print(Remedy("batch_size", 64))
        batch_size=64
        >>> print(Remedy("optimizer.lr", 0.01, "for a smaller step"))
        {"optimizer.lr": 0.01} (for a smaller step)
        >>> print(Remedy("resume", "runs/x"))
        rescli.resume("runs/x")
    """

    setting: str
    value: object = True
    note: str = ""

    def __str__(self) -> str:
        value = f'"{self.value}"' if not isinstance(self.value, bool | int | float) else str(self.value)
        if self.setting == "resume":
            worded = f"rescli.resume({value})"
        elif "." in self.setting:
            worded = f'{{"{self.setting}": {value}}}'
        else:
            worded = f"{self.setting}={value}"
        return worded + (f" ({self.note})" if self.note else "")
