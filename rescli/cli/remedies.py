"""What an error says and suggests, in the words of the command line."""

from __future__ import annotations

import json
from collections.abc import Collection

from rescli.errors import RescliError
from rescli.foreign_text import readable, shell_path, shell_word
from rescli.handbook import find_section
from rescli.remedy import Remedy

__all__ = ["COMMANDS", "as_flag", "next_steps", "where_more", "worded"]

COMMANDS = {
    "compare": "rescli compare plain-20 resnet-20",
    "evaluate": "rescli eval {value}",
    "import_exported": "rescli import {value}{also} --out FILE.safetensors  # {note}",
    "import_this": "rescli import {value} --model NAME --dataset NAME --out FILE.safetensors  # {note}",
    "list_models": "rescli models  # {note}",
    "list_presets": "rescli presets  # {note}",
    "net_of_start": (
        "--from {value} (without --model, --depth, --shortcut and --set model.KEY: its network is then taken)"
    ),
    "pack": "rescli data pack  # {note}",
    "prepare_imagenet": "rescli data prepare imagenet --from DIR  # {note}",
    "results": "rescli eval CKPT --json > {value}  # {note}",
    "resume": "rescli train --resume {value}{also}  # {note}",
    "show_preset": "rescli presets show {value}  # {note}",
    "start_from": "rescli train {value} --from CKPT  # {note}",
    "tidy": "rescli data tidy --data-root {value} --out NEW_DIR  # {note}",
    "train": "rescli train {value}  # {note}",
    "train_anew": "rescli train {value}{also} --out NEW_DIR  # {note}",
    "train_on": "rescli train {value}/spec.toml --from {value}{also} --out NEW_DIR  # {note}",
    "verify_data": "rescli data verify {value}{also}  # {note}",
}
"""The command of each of ``rescli.remedy.ACTIONS``; its note stands behind #, where shells skip it."""

_FLAG_OF_ARGUMENT = {"which": "weights"}
"""Arguments whose flag has another name."""

_FLAG_OF_KEY = {
    "data.batch_size": "batch_size",
    "data.skip_damaged": "skip_damaged",
    "model.depth": "depth",
    "precision": "precision",
}
"""Keys of the spec that have a flag of their own in some commands; the others are given by --set."""


def as_flag(remedy: Remedy, parameters: Collection[str] | None = None) -> str:
    """The flag, or the whole command, that a remedy stands for.

    Args:
        remedy: what would mend it.
        parameters: those of the command that was typed, without which a key is given by --set; None where
            nobody knows.

    >>> as_flag(Remedy("data.batch_size", 64)), as_flag(Remedy("optimizer.lr", 0.01))
    ('--batch-size 64', '--set optimizer.lr=0.01')
    >>> as_flag(Remedy("data.batch_size", 64), {"name", "set_"})
    '--set data.batch_size=64'
    >>> as_flag(Remedy("resume", "runs/x", also={"nproc": 2}))
    'rescli train --resume runs/x --nproc 2'
    """
    others = {setting: value for setting, value in remedy.also.items() if value is not None}
    if remedy.setting not in COMMANDS and parameters is not None:
        others = {setting: value for setting, value in others.items() if _is_taken(setting, parameters)}
    also = "".join(f" {_flag(setting, value, parameters)}" for setting, value in others.items())
    if remedy.setting == "start_from" and parameters is not None and "from_" in parameters:
        return "--from CKPT"  # beside what was typed, such as where the images are
    if remedy.setting in COMMANDS:
        command = COMMANDS[remedy.setting]
        if remedy.value is True:
            command = command.replace(" {value}", "")
        # A note stands behind #, and a line end in it would end the comment.
        whole = command.format(value=shell_path(remedy.value), note=readable(remedy.note), also=also)
        return whole.rstrip().removesuffix("#").rstrip()
    flag = _flag(remedy.setting, remedy.value, parameters) + also
    return flag + (f" ({readable(remedy.note)})" if remedy.note else "")


def _is_taken(setting: str, parameters: Collection[str]) -> bool:
    return "." in setting or setting in parameters or _FLAG_OF_ARGUMENT.get(setting) in parameters


def _flag(setting: str, value: object, parameters: Collection[str] | None) -> str:
    name = _FLAG_OF_KEY.get(setting, _FLAG_OF_ARGUMENT.get(setting, setting))
    is_key = setting in _FLAG_OF_KEY
    if "." in name or (is_key and parameters is not None and {name, "set_"} & {*parameters} == {"set_"}):
        typed = json.dumps(value, ensure_ascii=False) if value is True or isinstance(value, tuple) else value
        return f"--set {shell_word(f'{setting}={typed}')}"
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return flag
    return f"{flag}{'=' if str(value).startswith('-') else ' '}{shell_word(value)}"


def worded(error: RescliError) -> str:
    """The error's message, in which the settings that it names are flags."""
    message = str(error)
    for setting in error.given:
        message = message.replace(str(setting), as_flag(setting))
    return message


def next_steps(error: RescliError, parameters: Collection[str] | None = None) -> str:
    """Indented lines below the error's message; empty where it suggests nothing.

    Args:
        error: what went wrong.
        parameters: those of the command that was typed, where they are known.
    """
    flags = [as_flag(remedy, parameters) for remedy in error.remedies]
    steps = [*([error.hint] if error.hint else []), *flags]
    return "".join(f"\n  {'try: ' * step.startswith('rescli ')}{step}" for step in steps)


def where_more(page: str | None) -> str:
    """The last line of an error: the section of the handbook on it; empty where there is none.

    Args:
        page: as ``RescliError.page``.
    """
    section = find_section(page) if page is not None else None
    return f"\n  see: {readable(str(section))}" if section is not None else ""
