"""Train, evaluate, compare and export the networks of Deep Residual Learning (arXiv:1512.03385).

Every command of the command line is a function here; each is imported when it is first asked for, so that
``import rescli`` loads no torch. ``docs/python.md`` shows all of them.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

import rescli.spec as _spec_room

if TYPE_CHECKING:
    from rescli.workflows.compare import compare as compare
    from rescli.workflows.evaluate import evaluate as evaluate
    from rescli.workflows.export import export as export
    from rescli.workflows.load import load as load
    from rescli.workflows.predict import predict as predict
    from rescli.workflows.reproduce import reproduce as reproduce
    from rescli.workflows.train import resume as resume
    from rescli.workflows.train import train as train

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "export",
    "load",
    "predict",
    "reproduce",
    "resume",
    "spec",
    "train",
]

__version__ = "0.1.0.dev0"

_WHERE = {
    "compare": "compare",
    "evaluate": "evaluate",
    "export": "export",
    "load": "load",
    "predict": "predict",
    "reproduce": "reproduce",
    "resume": "train",
    "train": "train",
}
"""Function to its module in ``rescli.workflows``."""


class _Spec(ModuleType):
    """The package ``rescli.spec``, which is also the function ``rescli.spec("cifar10/resnet-20", {...})``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("rescli.workflows.spec").spec(*args, **kwargs)


# Importing rescli.spec.anything binds the package to the name: so the package itself is made callable.
_spec_room.__class__ = _Spec
spec = _spec_room


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'rescli' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rescli.workflows.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
