"""Weights that others trained, as a checkpoint that everything else takes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rescli import registry
from rescli.errors import CheckpointError, UnknownNameError, UsageError, on_page
from rescli.files import require_nameable
from rescli.foreign_text import html_text, readable
from rescli.remedy import Remedy
from rescli.report.table import short
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.importers.base import Importer

__all__ = ["ImportResult", "ImportedFrom", "import_weights"]

_log = logging.getLogger(__name__)

_AUTO = "auto"


@dataclass(frozen=True)
class ImportedFrom:
    """The file that the weights were read from."""

    file: str
    sha256: str


@dataclass(frozen=True, repr=False)
class ImportResult:
    """A checkpoint made of weights from elsewhere.

    Args:
        checkpoint: its path.
        model: name of the net.
        shortcut: the option of its shortcuts; None for plain nets and plugins'.
        dataset: name of the data set.
        num_classes: how many classes it has.
        params: trainable parameters.
        layout: whose names the tensors had.
        normalization: name of what the images were normalised with in training.
        normalization_assumed: whether that is the layout's usual one, because none was given.
        imported_from: the file that the weights were read from.
        weights: name of the set of weights that was taken, where the file holds several or an average alone.
        other_weights: names of the sets that were not; ``which`` takes one of them.
        prefix: what was taken off the front of each name.
        head: the linear layer that was taken as ``fc``, where it has another name.
        zero_bias: whether the head has no bias, in whose place there are zeros.
        left_out: what lies beside the net's tensors and does not matter to its logits.
        stored_in: types of the file's numbers; they become float32.
        class_names: of the outputs, in their order.
        classes_from: ``dataset``, ``given``, ``folders`` or ``file``.
    """

    checkpoint: str
    model: str
    shortcut: str | None
    dataset: str
    num_classes: int
    params: int
    layout: str
    normalization: str
    normalization_assumed: bool
    imported_from: ImportedFrom
    weights: str | None = None
    other_weights: tuple[str, ...] = ()
    prefix: str = ""
    head: str | None = None
    zero_bias: bool = False
    left_out: tuple[str, ...] = ()
    stored_in: tuple[str, ...] = ("float32",)
    class_names: tuple[str, ...] = ()
    classes_from: Literal["dataset", "given", "folders", "file"] = "dataset"

    @property
    def shown_names(self) -> tuple[str, ...]:
        """``class_names`` as every terminal can show them."""
        return tuple(map(readable, self.class_names))

    def to_dict(self) -> dict[str, object]:
        """All of it as JSON values; the names of the classes are the checkpoint's to give."""
        whole = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        del whole["class_names"]
        return whole

    def __repr__(self) -> str:
        keys = ("checkpoint", "model", "dataset", "layout", "normalization")
        return short("Import", [f"{key}: {getattr(self, key)}" for key in keys])

    def _repr_html_(self) -> str:
        shown = {**self.to_dict(), "imported_from": self.imported_from.file}
        cells = (f"<tr><th>{key}</th><td>{html_text(str(value))}</td></tr>" for key, value in shown.items())
        return f"<table>{''.join(cells)}</table>"


@with_notes
@on_page("weights-from-elsewhere-refused", CheckpointError)
def import_weights(
    weights: str | os.PathLike[str],
    model: str,
    dataset: str,
    out: str | os.PathLike[str],
    *,
    shortcut: Literal["A", "B", "C"] | None = None,
    stride_on: Literal["1x1", "3x3"] | None = None,
    layout: str = _AUTO,
    normalization: str = _AUTO,
    which: str | None = None,
    classes: str | os.PathLike[str] | Sequence[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    changes: Mapping[str, object] | None = None,
    warn: Callable[[str], None] = _log.warning,
) -> ImportResult:
    """Turn weights from elsewhere into a checkpoint with the same logits. No pickled code is run.

    Args:
        weights: a file of PyTorch or a safetensors file, whatever its name, with a state dict anywhere in it.
        model: the net that they are weights of, such as ``resnet-20``.
        dataset: the data set that they were trained on; ``imagefolder`` for images of one's own.
        out: the checkpoint to write; it must not exist.
        shortcut: A zero padding, B projection where the size changes, C everywhere; None for the net's.
        stride_on: the convolution of bottlenecks that has the stride; bottlenecks need it said.
        layout: whose names the tensors have; ``auto`` looks at them.
        normalization: name of what the images were normalised with; ``auto`` is the layout's, or of weights
            that rescli exported that of the config.json beside them.
        which: the set of weights to take where the file holds several, such as ``model_ema``; None for the
            only one that is no average.
        classes: of a data set of one's own: names in the order of the net's outputs, ``"a,b,c"``, or a text
            file with a name on each line. None for those of ``data_root``, or those that the file has.
        data_root: a folder of class folders, whose sorted names are the classes.
        changes: keys of the data set and the model and their values, such as
            ``{"data.dataset.image_size": 32}`` of a net for small images of one's own.
        warn: called where an importer of a plugin cannot be loaded, and where the file has other names for
            its outputs than ``classes`` or the folders.

    Returns:
        What was written, and what was recognised or assumed.

    Raises:
        UsageError: an unknown name, a net that the layout does not have, or a file that exists.
        CheckpointError: the file is missing, damaged, or does not fit the net.
        DataError: ``data_root`` has no class folders.

    Example:
        >>> import torch
        >>> from rescli.models.specs import model_spec
        >>> theirs = model_spec("resnet-8").build(num_classes=10, image_size=32, seed=1)
        >>> torch.save(theirs.state_dict(), "theirs.pth")
        >>> made = import_weights("theirs.pth", "resnet-8", "shapes", "ours.safetensors")
        >>> made.layout, made.params
        ('torchvision', 75290)
    """
    weights, out = Path(weights), Path(out)
    _require_new(out)
    said = (shortcut, stride_on, which, classes, data_root, changes or None)
    if (layout, normalization) == (_AUTO, _AUTO) and said == (None,) * len(said):
        # Its config.json says all that an import asks for, and the normalisation that it cannot ask for.
        from rescli.importers.exported import read_exported

        if os.path.isfile(weights) and (exported := read_exported(weights, model, dataset)) is not None:
            return _of_export(exported, weights, model, dataset, out)
    importers = _importers(layout, warn)

    from rescli.importers.asked import asked_model, keys_of_import
    from rescli.importers.class_names import given_classes, other_names, require_order, with_classes
    from rescli.spec.from_names import named_dataset

    names, root = given_classes(classes), Path(data_root) if data_root is not None else None
    of_dataset, of_model = keys_of_import(changes or {})
    dataset_spec, names = with_classes(named_dataset(dataset, of_dataset), names, root)
    given = {"shortcut": shortcut, "stride_on": stride_on}
    given = {key: value for key, value in given.items() if value is not None}
    spec = asked_model(model, dataset_spec, {**given, **of_model})

    from rescli.importers.convert import recognise, to_checkpoint
    from rescli.importers.exported import normalization_beside
    from rescli.importers.normalizations import named_normalization
    from rescli.importers.reading.weights_file import read_weights

    scheme = None if normalization == _AUTO else normalization
    if scheme is not None:
        named_normalization(scheme)  # refuses an unknown name before the file is read
    read = read_weights(weights, importers, which)
    of_file = read.class_names if names is None else None
    if of_file is not None:
        dataset_spec, names = with_classes(dataset_spec, of_file, None)
    elif names is not None and read.class_names not in (None, names) and (classes or root) is not None:
        if classes is None:
            require_order(read.class_names, names, weights)
        warn(other_names(read.class_names or (), names, weights))
    importer = (
        recognise(read, importers, model=spec, dataset=dataset_spec) if layout == _AUTO else importers[layout]
    )
    checkpoint = to_checkpoint(
        read, importer, model=spec, dataset=dataset_spec, normalization=scheme, class_names=names
    )
    if scheme is None and (own := normalization_beside(weights)) is not None:
        scheme, checkpoint = own.kind, replace(checkpoint, normalization=own)
        imported = {**(checkpoint.data.get("imported_from") or {}), "normalization": own.kind}
        checkpoint = replace(checkpoint, data={"imported_from": imported})
    # Built and loaded once as eval will: whatever could fail there fails here, before there is a file.
    params = sum(parameter.numel() for parameter in checkpoint.build_model().parameters())
    result = ImportResult(
        checkpoint=str(out),
        model=checkpoint.model.name,
        shortcut=getattr(checkpoint.model, "shortcut", None),
        dataset=checkpoint.dataset.kind,
        num_classes=len(checkpoint.class_names),
        params=params,
        layout=importer.kind,
        normalization=scheme or importer.default_normalization(checkpoint.model),
        normalization_assumed=scheme is None,
        imported_from=ImportedFrom(read.file, read.sha256),
        weights=read.name,
        other_weights=read.others,
        prefix=read.prefix,
        head=read.head,
        zero_bias=read.zero_bias,
        left_out=read.left_out,
        stored_in=read.stored_in,
        class_names=checkpoint.class_names,
        classes_from=(
            "file" if of_file else "given" if classes is not None else "folders" if root else "dataset"
        ),
    )
    checkpoint.write(out)
    return result


def _of_export(checkpoint: Checkpoint, weights: Path, model: str, dataset: str, out: Path) -> ImportResult:
    """Write what rescli exported as the checkpoint that it was."""
    params = sum(parameter.numel() for parameter in checkpoint.build_model().parameters())
    checkpoint.write(out)
    return ImportResult(
        checkpoint=str(out),
        model=model,
        shortcut=getattr(checkpoint.model, "shortcut", None),
        dataset=dataset,
        num_classes=len(checkpoint.class_names),
        params=params,
        layout="rescli",
        normalization=checkpoint.normalization.kind,
        normalization_assumed=False,
        imported_from=ImportedFrom(readable(weights.name), checkpoint.sha256 or ""),
        class_names=checkpoint.class_names,
        classes_from="file",
    )


def _require_new(out: Path) -> None:
    require_nameable(out)
    if out.suffix != ".safetensors":
        raise UsageError(
            f"{out}: a checkpoint is a .safetensors file.", remedy=Remedy("out", f"{out}.safetensors")
        )
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is not overwritten.", hint="name another file, or remove it")


def _importers(layout: str, warn: Callable[[str], None]) -> dict[str, Importer]:
    """Name to importer: the one asked for, or all that can be loaded."""
    known = registry.names("importers")
    if layout != _AUTO:
        if layout not in known:
            raise UnknownNameError("layout", layout, [_AUTO, *known])
        return {layout: registry.load("importers", layout)()}
    importers = {}
    for name in known:
        try:
            importers[name] = registry.load("importers", name)()
        except UsageError as error:
            warn(str(error))
    return importers
