"""The spec of a run: frozen data, validated once; called as a function, it gives one by its name.

``rescli.spec(name, changes=None, *, dataset=None)`` is ``rescli.workflows.spec.spec``.

Example:
    >>> import rescli
    >>> rescli.spec("cifar10/resnet-20", {"optimizer.lr": 0.05, "iterations": 4000}).iterations
    4000
"""
