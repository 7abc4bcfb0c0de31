"""What would mend an error, in words that neither the command line nor Python owns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rescli.foreign_text import python_text

__all__ = ["ACTIONS", "Remedy"]

ACTIONS = {
    "compare": 'rescli.compare(["plain-20", "resnet-20"])',
    "evaluate": "rescli.evaluate({value})",
    "import_exported": (
        "from rescli.workflows.import_weights import import_weights; "
        'import_weights({value}{also}, out="FILE.safetensors")'
    ),
    "import_this": (
        "from rescli.workflows.import_weights import import_weights; "
        "import_weights({value}, MODEL, DATASET, OUT)"
    ),
    "list_models": "from rescli.workflows.listings.models import list_models; list_models()",
    "list_presets": "from rescli.workflows.listings.presets import presets; presets()",
    "net_of_start": "rescli.spec(NAME, start_from={value})",
    "pack": "from rescli.workflows.data.pack import pack; pack(NAME, OUT)",
    "prepare_imagenet": (
        "from rescli.workflows.data.prepare_imagenet import prepare_imagenet; prepare_imagenet(ARCHIVES)"
    ),
    "results": 'import json; open({value}, "w").write(json.dumps(rescli.evaluate(CKPT).to_json()))',
    "resume": "rescli.resume({value}{also})",
    "show_preset": "print(rescli.spec({value}))",
    "start_from": 'rescli.spec({value}, start_from="CKPT")',
    "tidy": 'from rescli.workflows.data.tidy import tidy; tidy("NEW_DIR", {value})',
    "train": "rescli.train({value})",
    "train_anew": 'rescli.train({value}{changes}, out="NEW_DIR"{also})',
    "train_on": (
        'rescli.train(rescli.spec({value} "/spec.toml"{changes}, start_from={value}), out="NEW_DIR"{also})'
    ),
    "verify_data": "from rescli.workflows.data.verify_data import verify_data; verify_data({value}{also})",
}
"""What a remedy may do that is no setting, as a call; ``cli/remedies.py`` has the commands. Words in capitals
are the user's to choose."""

_DATASET = "dataset"
_PROCESSES = "nproc"
"""How many processes train a run together: a flag on the command line, and torchrun's matter in Python."""


@dataclass(frozen=True)
class Remedy:
    """What would mend an error: a flag or a command on the command line, an argument or a call in Python.

    Args:
        setting: the name of an argument (``"device"``), a key of the spec (``"data.batch_size"``,
            ``"precision"``), or one of ``ACTIONS``, such as ``"resume"``, which continues the run directory
            ``value``.
        value: what to give it; a word in capitals, such as ``"DIR"``, where the user has to choose.
            True for a switch, a tuple for a list.
        note: what else the user should know of it.
        also: settings that go with it, each with its value; those that are None are left out.

    Example:
        >>> print(Remedy("device", "cpu"))
        device="cpu"
        >>> print(Remedy("optimizer.lr", 0.01, "for a smaller step"))
        changes={"optimizer.lr": 0.01} (for a smaller step)
        >>> print(Remedy("resume", "runs/x", also={"data.skip_damaged": True}))
        rescli.resume("runs/x", skip_damaged=True)
        >>> print(Remedy("optimizer.lr", 0.01, also={"data.batch_size": 64, "device": "cpu"}))
        changes={"optimizer.lr": 0.01, "data.batch_size": 64}, device="cpu"
    """

    setting: str
    value: object = True
    note: str = ""
    also: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.worded()

    def worded(self, parameters: Collection[str] | None = None) -> str:
        """The remedy in Python.

        Args:
            parameters: those of the function that was called; a setting that is none of them is a key of the
                spec. None where nobody knows.

        Example:
            >>> Remedy("precision", "fp32").worded({"net", "precision"})
            'precision="fp32"'
            >>> Remedy("precision", "fp32").worded({"spec", "changes"})
            'changes={"precision": "fp32"}'
            >>> Remedy("precision", "fp32").worded({"run"})  # a run that is resumed keeps its spec
            'rescli.train(..., changes={"precision": "fp32"})'
            >>> Remedy("dataset", "imagefolder").worded({"spec", "changes"})
            'rescli.spec(..., dataset="imagefolder")'
        """
        settings = {name: value for name, value in self.also.items() if value is not None}
        processes = settings.pop(_PROCESSES, None)
        if self.setting in ACTIONS:
            worded = self._as_call(settings)
        else:
            worded = _as_arguments({self.setting: self.value, **settings}, parameters)
        begun = f"in {processes} processes, as torchrun begins them" if processes is not None else ""
        note = "; ".join(filter(None, [self.note, begun]))
        return worded + (f" ({note})" if note else "")

    def _as_call(self, settings: Mapping[str, object]) -> str:
        template = ACTIONS[self.setting]
        takes_changes = "{changes}" in template
        keys = {name: value for name, value in settings.items() if takes_changes and "." in name}
        others = {name.rpartition(".")[2]: v for name, v in settings.items() if name not in keys}
        return template.format(
            value="NAME" if self.value is True else _in_python(self.value),
            changes=f", {_as_changes(keys)}" if keys else "",
            also="".join(f", {name}={_in_python(value)}" for name, value in others.items()),
        )


def _as_arguments(settings: Mapping[str, object], parameters: Collection[str] | None) -> str:
    """Keyword arguments of the function that was called; all keys of the spec are one of them."""
    keys, others = {}, []
    if parameters is not None and "changes" in parameters and _DATASET in {*settings} - {*parameters}:
        # The function takes a spec, which is made of a data set; of evaluation's settings it has none.
        spec = f"rescli.spec(..., {_DATASET}={_in_python(settings[_DATASET])})"
        taken = {name: value for name, value in settings.items() if "." in name or name in parameters}
        return ", ".join(filter(None, [spec, _as_arguments(taken, parameters)]))
    for setting, value in settings.items():
        name = setting.rpartition(".")[2]
        if parameters is not None and "changes" not in parameters and name in parameters:
            others.append(f"{name}={_in_python(value)}")
        elif "." in setting or (parameters is not None and setting not in parameters):
            keys[setting] = value
        else:
            others.append(f"{setting}={_in_python(value)}")
    if not keys:
        return ", ".join(others)
    worded = ", ".join([_as_changes(keys), *others])
    return worded if parameters is None or "changes" in parameters else f"rescli.train(..., {worded})"


def _as_changes(keys: Mapping[str, object]) -> str:
    pairs = ", ".join(f'"{key}": {_in_python(value)}' for key, value in keys.items())
    return f"changes={{{pairs}}}"


def _in_python(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_in_python, value))}]"
    return str(value) if isinstance(value, bool | int | float) else python_text(str(value))
