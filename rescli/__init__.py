"""Train, evaluate, compare and export the networks of Deep Residual Learning (arXiv:1512.03385).

The main commands are functions here, others are in ``rescli.workflows``. Each is imported when it is first
asked for, so that ``import rescli`` loads no torch. ``docs/python.md`` shows all of them.

Example:
    >>> import rescli
    >>> rescli.spec("cifar10/resnet-20", {"optimizer.lr": 0.05}).optimizer.lr
    0.05
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rescli import errors as errors
    from rescli.workflows.compare import compare as compare
    from rescli.workflows.evaluate import evaluate as evaluate
    from rescli.workflows.export import export as export
    from rescli.workflows.listings.reproduction_status import reproduction_status as reproduction_status
    from rescli.workflows.load import load as load
    from rescli.workflows.predict import predict as predict
    from rescli.workflows.reproduce import reproduce as reproduce
    from rescli.workflows.spec import spec as spec
    from rescli.workflows.train import resume as resume
    from rescli.workflows.train import train as train
    from rescli.workflows.trust.doctor import doctor as doctor
    from rescli.workflows.trust.verify_resume import verify_resume as verify_resume

__all__ = [
    "__version__",
    "compare",
    "doctor",
    "errors",
    "evaluate",
    "export",
    "load",
    "predict",
    "reproduce",
    "reproduction_status",
    "resume",
    "spec",
    "train",
    "verify_resume",
]

__version__ = "0.1.0.dev0"

_WHERE = {
    "compare": "compare",
    "doctor": "trust.doctor",
    "evaluate": "evaluate",
    "export": "export",
    "load": "load",
    "predict": "predict",
    "reproduce": "reproduce",
    "reproduction_status": "listings.reproduction_status",
    "resume": "train",
    "spec": "spec",
    "train": "train",
    "verify_resume": "trust.verify_resume",
}
"""Function to its module in ``rescli.workflows``."""


class _FrontDoor(ModuleType):
    """This package, whose ``spec`` is the function and not the room ``rescli.spec``.

    Importing a module of that room makes Python bind the room to the name ``spec`` here. The function has the
    room's modules as attributes, so that ``import rescli.spec.run as run`` finds them.
    """

    @property
    def spec(self) -> Any:
        function = __getattr__("spec")
        for name, module in list(sys.modules.items()):
            if name.startswith("rescli.spec.") and name.count(".") == 2:
                setattr(function, name.removeprefix("rescli.spec."), module)
        return function

    @spec.setter
    def spec(self, room: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _FrontDoor


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("rescli.errors")
    if name not in _WHERE:
        raise AttributeError(f"module 'rescli' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rescli.workflows.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
