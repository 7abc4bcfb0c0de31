"""What would mend an error, in words that neither the command line nor Python owns."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["ACTIONS", "Remedy"]

ACTIONS = {
    "compare": 'rescli.compare(["plain-20", "resnet-20"])',
    "evaluate": "rescli.evaluate({value})",
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
    "resume": "rescli.resume({value})",
    "resume_alone": "rescli.resume({value}, workers=0)",
    "resume_skipping": "rescli.resume({value}, skip_damaged=True)",
    "show_preset": "print(rescli.spec({value}))",
    "start_from": 'rescli.spec({value}, start_from="CKPT")',
    "tidy": 'from rescli.workflows.data.tidy import tidy; tidy("NEW_DIR", {value})',
    "train": "rescli.train({value})",
    "train_anew": 'rescli.train({value}, out="NEW_DIR"{root})',
    "train_anew_skipping": (
        'rescli.train({value}, changes={{"data.skip_damaged": True}}, out="NEW_DIR"{root})'
    ),
    "train_on": 'rescli.train(rescli.spec({value} "/spec.toml", start_from={value}), out="NEW_DIR"{root})',
    "train_on_skipping": (
        'rescli.train(rescli.spec({value} "/spec.toml", {{"data.skip_damaged": True}}, '
        'start_from={value}), out="NEW_DIR"{root})'
    ),
    "verify_data": "from rescli.workflows.data.verify_data import verify_data; verify_data({value}{root})",
}
"""What a remedy may do that is no setting, as a call; ``cli/remedies.py`` has the commands. Words in capitals
are the user's to choose."""


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
        data_root: where the images lie, for an action that has to be told.

    Example:
        >>> print(Remedy("device", "cpu"))
        device="cpu"
        >>> print(Remedy("optimizer.lr", 0.01, "for a smaller step"))
        changes={"optimizer.lr": 0.01} (for a smaller step)
        >>> print(Remedy("resume", "runs/x"))
        rescli.resume("runs/x")
    """

    setting: str
    value: object = True
    note: str = ""
    data_root: object = None

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
        """
        key = self.setting.rpartition(".")[2]
        if isinstance(self.value, tuple):
            value = json.dumps(self.value, ensure_ascii=False)
        else:
            value = str(self.value) if isinstance(self.value, bool | int | float) else f'"{self.value}"'
        if self.setting in ACTIONS:
            worded = ACTIONS[self.setting].format(
                value="NAME" if self.value is True else value,
                root="" if self.data_root is None else f', data_root="{self.data_root}"',
            )
        elif parameters is not None and "changes" not in parameters and key in parameters:
            worded = f"{key}={value}"
        elif "." in self.setting or (parameters is not None and self.setting not in parameters):
            worded = f'changes={{"{self.setting}": {value}}}'
            if parameters is not None and "changes" not in parameters:
                worded = f"rescli.train(..., {worded})"
        else:
            worded = f"{self.setting}={value}"
        return worded + (f" ({self.note})" if self.note else "")
