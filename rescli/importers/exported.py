"""What rescli exported with a config.json beside the weights, read back as the checkpoint that it was.

Such are the folders for Hugging Face, and single .safetensors files. The weights may carry the names of timm,
torchvision or transformers; ``config.json`` says which network, normalisation and classes they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from pydantic import TypeAdapter

from rescli.checkpoints.checkpoint import Checkpoint, read_tensors
from rescli.checkpoints.file_kinds import foreign_tensors
from rescli.checkpoints.header import MODEL_KEY
from rescli.checkpoints.metadata import KnownFigures, StoredDescription, described_beside, read_description
from rescli.data.normalization import Normalization
from rescli.errors import CheckpointError, RescliError, UsageError, first_line
from rescli.exporters.architectures import transformers_state
from rescli.foreign_text import readable
from rescli.importers.class_names import with_classes
from rescli.importers.reading.weights_file import listed
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec, plugged
from rescli.spec.from_names import named_dataset
from rescli.spec.load import spec_from_dict

__all__ = ["normalization_beside", "read_checkpoint", "read_exported"]

_MODEL: TypeAdapter[ModelSpec] = TypeAdapter(plugged(ModelSpec))
_BN_EPS = 1e-5


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of rescli, or weights that rescli exported with a config.json beside them.

    Args:
        path: of the .safetensors file.

    Raises:
        CheckpointError: missing or damaged; or neither a checkpoint nor exported by rescli.
    """
    config = path.with_name("config.json")
    if not (path.is_file() and config.is_file()):
        return Checkpoint.read(path)
    tensors, texts, sha256 = read_tensors(path)
    if MODEL_KEY in texts:
        return Checkpoint.read(path)
    description = read_description(config)
    if description is None:
        raise CheckpointError(
            f"{path.parent} was not exported by rescli: its config.json does not say which "
            "network its weights belong to.",
            remedy=Remedy("import_this", path, "makes it a checkpoint"),
        )
    try:
        return _checkpoint(path, tensors, sha256, description)
    except CheckpointError:
        raise
    except (ValueError, RescliError) as error:
        raise CheckpointError(
            f"{config} is damaged: {type(error).__name__}: {readable(str(error))}"
        ) from error


def normalization_beside(path: Path) -> Normalization | None:
    """How images are to be normalised for weights that rescli exported; None for weights from elsewhere.

    Args:
        path: of the file of weights, with or without a config.json beside it.

    Raises:
        CheckpointError: config.json is rescli's, and says nothing that can be taken.
    """
    description = _description_beside(path)
    return None if description is None else _normalization(path, description)


def _normalization(path: Path, description: StoredDescription) -> Normalization:
    try:
        return Normalization.from_json(description["normalization"])
    except RescliError as error:
        raise CheckpointError(
            f"{path.with_name('config.json')} is damaged: {readable(first_line(error))}",
            hint="export the net again",
        ) from error


def _description_beside(path: Path) -> StoredDescription | None:
    """What rescli wrote of an export into the config.json beside it; None where it wrote none."""
    return described_beside(path) if path.suffix == ".safetensors" else None


def read_exported(path: Path, model: str, dataset: str) -> Checkpoint | None:
    """Weights that rescli exported with a config.json beside them; None where they are anything else.

    Args:
        path: of the file.
        model: the net that it is said to be of.
        dataset: what that was trained on.

    Raises:
        CheckpointError: the weights or config.json are damaged.
        UsageError: it is of another net or data set.
    """
    # A checkpoint of rescli is refused by whoever reads weights from elsewhere.
    if _description_beside(path) is None or foreign_tensors(path) is None:
        return None
    checkpoint = read_checkpoint(path)
    was = (checkpoint.model.name, checkpoint.dataset.kind)
    if was != (model, dataset):
        raise UsageError(
            f"{path} was exported from a {was[0]} on {was[1]}, not a {model} on {dataset}.",
            remedy=Remedy("model", was[0], also={"dataset": was[1]}),
        )
    return checkpoint


def _checkpoint(
    path: Path, tensors: Mapping[str, torch.Tensor], sha256: str, description: StoredDescription
) -> Checkpoint:
    model = _MODEL.validate_python(description["model_spec"])
    class_names = tuple(description["class_names"])
    spec = spec_from_dict(description["training"]) if description["training"] else None
    dataset = spec.data.dataset if spec else _dataset(description["dataset"], class_names)
    origin = description["checkpoint"]
    results: dict[str, KnownFigures] = {
        row["split"]: row for row in description["results"] if row["split"] in ("val", "test")
    }
    return Checkpoint(
        tensors=_our_tensors(path, tensors, model, len(class_names), dataset.image_size),
        model=model,
        dataset=dataset,
        spec=spec,
        normalization=_normalization(path, description),
        class_names=class_names,
        iteration=origin["iteration"],
        selection=origin["selection"],
        results=results,
        data={"imported_from": imported} if (imported := origin.get("imported_from")) else {},
        precision=origin["trained_in"],
        sha256=sha256,
        path=path,
    )


def _dataset(kind: str, class_names: tuple[str, ...]) -> DatasetSpec:
    dataset = named_dataset(kind)
    # A folder of photographs has its classes from its folders, which need not be here.
    return with_classes(dataset, class_names, None)[0] if dataset.class_names is None else dataset


def _our_tensors(
    path: Path, given: Mapping[str, torch.Tensor], model: ModelSpec, num_classes: int, image_size: int
) -> dict[str, torch.Tensor]:
    """The state dict of our network in float32, whatever the file calls its tensors."""
    ours = model.layout(num_classes=num_classes, image_size=image_size) is not None
    with torch.device("meta") if ours else nullcontext():
        net = model.build(num_classes=num_classes, image_size=image_size, seed=0)
    expected = net.state_dict()
    theirs = dict(zip(expected, transformers_state(expected), strict=True))
    folded = "conv1.bias" in given
    found: dict[str, torch.Tensor] = {}
    for name, wanted in expected.items():
        tensor = given.get(name, given.get(theirs[name]))
        if tensor is None and folded:
            tensor = _unfolded(name, wanted, given)
        if tensor is None and name.endswith("num_batches_tracked"):
            tensor = torch.tensor(0)
        if tensor is None or tensor.shape != wanted.shape:
            raise CheckpointError(
                f"{path} does not fit {model.name}: {name} is missing or of another shape; it holds "
                f"{listed(list(given))}."
            )
        found[name] = tensor.to(wanted.dtype)
    return found


def _unfolded(name: str, wanted: torch.Tensor, given: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """A batch normalisation that adds the bias of the convolution that it was folded into, and no more."""
    layer, _, kind = name.rpartition(".")
    if kind == "bias":
        parent, _, own = layer.rpartition(".")
        conv = "0" if own == "1" else own.replace("bn", "conv")
        return given.get(f"{parent}.{conv}.bias".removeprefix("."))
    if kind == "running_var":
        return torch.full(wanted.shape, 1 - _BN_EPS)
    return {"weight": torch.ones, "running_mean": torch.zeros}.get(kind, lambda _: None)(wanted.shape)
