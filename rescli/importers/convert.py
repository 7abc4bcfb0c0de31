"""A state dict from elsewhere as a checkpoint of ours: every tensor accounted for, or none taken."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, UsageError
from rescli.importers.base import Importer
from rescli.importers.guess import Likeness, likeness
from rescli.importers.normalizations import named_normalization
from rescli.importers.reading.weights_file import Weights, listed
from rescli.importers.strangers import PLUGINS, kind_by_names, stranger
from rescli.plurals import are, counted
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["recognise", "to_checkpoint"]

_COUNTER = "num_batches_tracked"

_UNLIKE = Likeness("")


def recognise(
    weights: Weights,
    importers: Mapping[str, Importer],
    *,
    model: ModelSpec | None = None,
    dataset: DatasetSpec | None = None,
) -> Importer:
    """The one importer whose layout these weights are in.

    Args:
        model: the net that they should be of, for what is said where no layout fits.
        dataset: what it was trained on.

    Raises:
        CheckpointError: no importer knows their layout; names the nearest, and what is different.
        UsageError: several importers do.
    """
    fitting = [name for name, importer in importers.items() if importer.recognises(weights.tensors.keys())]
    if not fitting:
        nearest = _nearest(weights, importers, model, dataset) if model and dataset else ""
        strange = kind_by_names(weights.tensors)
        raise CheckpointError(
            f"{weights.file} is in no layout that is known here ({', '.join(sorted(importers))}); its "
            f"{counted(len(weights.tensors), 'tensor')} {are(len(weights.tensors))} "
            f"{listed(list(weights.tensors))}.{nearest}",
            hint=f"rescli has no such net: these weights are {strange}; {PLUGINS}"
            if strange
            else "where it is a ResNet, rename the tensors as torchvision names them (conv1 bn1 layer1 .. "
            f"downsample fc); else {PLUGINS}",
        )
    if len(fitting) > 1:
        raise UsageError(
            f"{weights.file} could be in the layouts {' and '.join(sorted(fitting))}.",
            hint="say which",
            remedy=Remedy("layout", min(fitting)),
        )
    return importers[fitting[0]]


def _nearest(
    weights: Weights, importers: Mapping[str, Importer], model: ModelSpec, dataset: DatasetSpec
) -> str:
    """A sentence on the layout with the most names in common; empty where none has any."""
    expected = _expected(model, dataset, len(dataset.class_names or ("", "")))
    shared = {
        kind: sum(importer.their_name(name) in weights.tensors for name in expected)
        for kind, importer in importers.items()
    }
    kind = max(sorted(shared), key=lambda one: shared[one])
    if not shared[kind]:
        return ""
    importer = importers[kind]
    differences = _differences(_with_counters(weights.tensors, expected, importer), expected, importer)
    return f" The nearest is {kind}, but of {model.name} there are {differences}."


def to_checkpoint(
    weights: Weights,
    importer: Importer,
    *,
    model: ModelSpec,
    dataset: DatasetSpec,
    normalization: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Checkpoint:
    """The checkpoint, in fp32, whose logits are those of the original net.

    Args:
        normalization: a key of ``NORMALIZATIONS``; None for the layout's own.
        class_names: one an output, in their order; None for the data set's.

    Raises:
        CheckpointError: a tensor is missing, too many, of another shape or kind, or not finite.
        UsageError: the layout has no such net, no normalisation has that name, or nobody knows the
            classes of the data set without its files.
    """
    if nets := importer.unfit(model):
        shortcut = f" with shortcut {model.shortcut}" if hasattr(model, "shortcut") else ""
        alike = _alike(weights.tensors, importer, model, dataset)
        raise UsageError(
            f"the layout {importer.kind} has {nets}, and no {model.name}{shortcut} as given.",
            hint=alike.text or None,
            remedy=alike.remedies,
        )
    head = weights.tensors.get(importer.their_name("fc.weight"))
    if head is not None and head.ndim and len(head) == 1:
        raise CheckpointError(
            f"{weights.file} has a single output, and no net here has fewer than two: one for each class.",
            hint="an output that says yes or no is not a classifier here; to train on from such a net, give "
            "its head a second output, whose weights are zeros",
        )
    scheme = normalization or importer.default_normalization(model)
    measured = named_normalization(scheme)
    class_names = class_names or dataset.class_names
    if class_names is None:
        raise UsageError(
            f"the class names of data set {dataset.kind!r} stand in its files alone.",
            remedy=[
                Remedy("data_root", "DIR", "whose class folders they are, sorted by name"),
                Remedy("classes", "NAME,NAME,...", "or the names in the order of the net's outputs"),
            ],
        )
    expected = _expected(model, dataset, len(class_names))
    given = _with_counters(weights.tensors, expected, importer)
    if faults := _differences(given, expected, importer):
        alike = _alike(weights.tensors, importer, model, dataset)
        raise CheckpointError(
            f"{weights.file} does not fit {model.name} on {dataset.kind}: {faults}.",
            hint=alike.text or None,
            remedy=alike.remedies,
        )
    ours = {name: given[importer.their_name(name)] for name in expected}
    _require_numbers(ours, expected, importer, weights.file)
    ours = {name: tensor.to(expected[name].dtype) for name, tensor in ours.items()}
    return Checkpoint(
        tensors=importer.arrange(ours, model),
        model=model,
        dataset=dataset,
        spec=None,
        normalization=measured,
        class_names=class_names,
        iteration=0,
        selection="imported",
        results={},
        data={
            "imported_from": {
                "file": weights.file,
                "sha256": weights.sha256,
                "layout": importer.kind,
                "normalization": scheme,
                **({"weights": weights.name} if weights.name is not None else {}),
            }
        },
        precision="fp32",
    )


def _alike(
    given: Mapping[str, Tensor], importer: Importer, model: ModelSpec, dataset: DatasetSpec
) -> Likeness:
    """What would take them; or that nothing here does, in place of settings that cannot help."""
    # A plugin's net may be what is strange here.
    ours = model.layout(num_classes=2, image_size=dataset.image_size) is not None
    if ours and (strange := stranger(given, importer)):
        return Likeness(f"rescli has no such net: these weights are {strange}; {PLUGINS}")
    return likeness(given, importer, model, dataset) or _UNLIKE


def _expected(model: ModelSpec, dataset: DatasetSpec, num_classes: int) -> dict[str, Tensor]:
    """Our net's state dict, for its names, shapes and types."""
    # Our own nets are built without memory or random numbers; a plugin's build may not know how.
    ours = model.layout(num_classes=num_classes, image_size=dataset.image_size) is not None
    with torch.device("meta") if ours else nullcontext():
        net = model.build(num_classes=num_classes, image_size=dataset.image_size, seed=0)
    return dict(net.state_dict())


def _with_counters(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], importer: Importer
) -> dict[str, Tensor]:
    """The tensors, with a count of 0 batches where PyTorch before 0.4.1 did not count.

    The count matters only to a batch normalisation without momentum, which none of ours is.
    """
    counters = [importer.their_name(name) for name in expected if name.endswith(_COUNTER)]
    return {**{name: torch.tensor(0) for name in counters}, **tensors}


def _differences(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], importer: Importer) -> str:
    """What is missing, extra or misshapen, in the names of the file; empty where all tensors fit."""
    shapes = {importer.their_name(name): tuple(tensor.shape) for name, tensor in expected.items()}
    missing = [name for name in shapes if name not in given]
    extra = [name for name in given if name not in shapes]
    misshapen = [
        f"{name} ({_times(given[name].shape)}, expected {_times(shape)})"
        for name, shape in shapes.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    return "; ".join(
        f"{len(names)} {what}: {listed(names, limit=3)}"
        for what, names in (("missing", missing), ("extra", extra), ("misshapen", misshapen))
        if names
    )


def _require_numbers(
    ours: Mapping[str, Tensor], expected: Mapping[str, Tensor], importer: Importer, file: str
) -> None:
    """Floating point where the net has it, and finite."""
    wrong_type, not_finite = [], []
    for name, tensor in ours.items():
        if not expected[name].is_floating_point():
            continue
        if not tensor.is_floating_point():
            wrong_type.append(f"{importer.their_name(name)} ({str(tensor.dtype).removeprefix('torch.')})")
        # As it will be stored: a float64 may be finite where its float32 is not.
        elif not tensor.to(expected[name].dtype).isfinite().all():
            not_finite.append(importer.their_name(name))
    if wrong_type:
        raise CheckpointError(
            f"{file} holds {counted(len(wrong_type), 'tensor')} that {are(len(wrong_type))} not in floating "
            f"point: {listed(wrong_type)}.",
            hint="quantized weights cannot be imported; take the original ones",
        )
    if not_finite:
        raise CheckpointError(
            f"{file} holds {counted(len(not_finite), 'tensor')} with numbers that are not finite: "
            f"{listed(not_finite)}.",
            hint="the training that made them diverged, or the file is damaged; take another one",
        )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
