"""A checkpoint: one safetensors file that eval, export and people need nothing beside.

Tensors: the model's state dict under its own names. Metadata, each value JSON: ``model``, ``dataset``,
``normalization``, ``class_names``, ``spec`` (of the run; null for weights that rescli did not train),
``iteration``, ``selection`` (last or best-val), ``results`` by split, ``data`` (fingerprints),
``precision``, ``rescli_version``, ``format_version``, ``content_sha256`` (of all the others and the tensors:
``rescli.checkpoints.header.content_sha256``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from rescli import __version__
from rescli.checkpoints.header import check_content
from rescli.checkpoints.metadata import OTHER_COPY, KnownFigures, Origin, metadata_damaged, metadata_of
from rescli.checkpoints.serialise import serialise
from rescli.data.normalization import Normalization
from rescli.errors import CheckpointError, RescliError, first_names
from rescli.files import read_file, write_atomically
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec, plugged
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.stored.tensor_file import whole_header

__all__ = ["FORMAT_VERSION", "Checkpoint", "read_tensors", "require_names"]

FORMAT_VERSION = 1

_REQUIRED = (
    *("dataset", "spec", "normalization", "class_names", "iteration", "selection", "results", "data"),
    "precision",
)

_MODEL: TypeAdapter[ModelSpec] = TypeAdapter(plugged(ModelSpec))
_DATASET: TypeAdapter[DatasetSpec] = TypeAdapter(plugged(DatasetSpec))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights with everything needed to use them.

    Args:
        tensors: the state dict, on the CPU.
        model: builds the network that they fit.
        dataset: what it was trained on.
        spec: the run that trained them; None for imported weights.
        normalization: from pixels to the network's inputs.
        class_names: one an output.
        iteration: after which they were saved.
        selection: ``last``, ``best-val`` or ``imported``.
        results: by split, errors in percent.
        data: fingerprints of the images by split, or where imported weights came from.
        precision: in which they were trained.
        sha256: of the file that it was read from.
        path: of that file; None where it was read from none.
    """

    tensors: dict[str, torch.Tensor]
    model: ModelSpec
    dataset: DatasetSpec
    spec: RunSpec | None
    normalization: Normalization
    class_names: tuple[str, ...]
    iteration: int
    selection: str
    results: dict[str, KnownFigures]
    data: Origin
    precision: str
    sha256: str = ""
    path: Path | None = None

    def write(self, path: Path) -> None:
        """Replace ``path`` atomically.

        Raises:
            CheckpointError: it cannot be written; what stood there is untouched.
        """
        metadata = {
            "format_version": FORMAT_VERSION,
            "rescli_version": __version__,
            "model": self.model.model_dump(mode="json", exclude_none=True),
            "dataset": self.dataset.model_dump(mode="json", exclude_none=True),
            "spec": self.spec.to_dict() if self.spec else None,
            "normalization": self.normalization.to_json(),
            "class_names": self.class_names,
            "iteration": self.iteration,
            "selection": self.selection,
            "results": self.results,
            "data": self.data,
            "precision": self.precision,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        texts = {key: json.dumps(value) for key, value in metadata.items()}
        write_atomically(path, serialise(tensors, texts), error=CheckpointError)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; one without ``content_sha256``, by an earlier rescli or another program, too.

        Raises:
            CheckpointError: missing, truncated, of another content than was written, of another format,
                without rescli's metadata, or with weights that are not finite.
        """
        tensors, texts, sha256 = read_tensors(path)
        if "model" not in texts or "format_version" not in texts:
            raise CheckpointError(
                f"{path} holds tensors but no rescli model, so nobody can say which network they belong to.",
                remedy=Remedy("import_this", path, "makes a checkpoint of them"),
            )
        if texts["format_version"] != str(FORMAT_VERSION):
            raise CheckpointError(
                f"{path} has format {readable(texts['format_version'][:20])}; this rescli reads "
                f"{FORMAT_VERSION}.",
                hint="install a newer rescli",
            )
        metadata = metadata_of(path, texts)
        if missing := [key for key in _REQUIRED if key not in metadata]:
            raise metadata_damaged(path, f"{missing[0]} is missing")
        try:
            checkpoint = cls(
                tensors=tensors,
                model=_MODEL.validate_python(metadata["model"]),
                dataset=_DATASET.validate_python(metadata["dataset"]),
                spec=spec_from_dict(metadata["spec"]) if metadata["spec"] else None,
                normalization=Normalization.from_json(metadata["normalization"]),
                class_names=tuple(metadata["class_names"]),
                iteration=metadata["iteration"],
                selection=metadata["selection"],
                results={split: row for split, row in metadata["results"].items() if row},
                data=metadata["data"],
                precision=metadata["precision"],
                sha256=sha256,
                path=path,
            )
        except (ValueError, RescliError) as error:
            reason = " ".join(str(error).split())
            raise metadata_damaged(path, f"{type(error).__name__}: {reason.removesuffix('.')}") from error
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise CheckpointError(f"{path}: tensor {name} holds numbers that are not finite.")
        return checkpoint

    def build_model(self) -> nn.Module:
        """The network with these weights, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: a tensor is missing, too many, or of another shape.
        """
        model = self.model.build(
            num_classes=len(self.class_names), image_size=self.dataset.image_size, seed=0
        )
        try:
            require_names(model, self.tensors, self._unfit)
            model.load_state_dict(self.tensors, strict=True)
        except RuntimeError as error:
            # torch's message names every tensor, over several lines.
            reason = " ".join(str(error).partition(":")[2].split())
            raise CheckpointError(f"{self._unfit}: {reason}") from error
        return model.eval()

    @property
    def _unfit(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        return f"{where}the weights do not fit {self.model.name}"


def require_names(model: nn.Module, tensors: Mapping[str, torch.Tensor], unfit: str) -> None:
    """Refuse tensors that are not those of a network, before torch looks for each of them in each layer.

    Args:
        model: the network.
        tensors: by name.
        unfit: how the error begins.

    Raises:
        CheckpointError: a name is missing, or belongs to none of its layers.
    """
    expected = model.state_dict().keys()
    missing = [name for name in expected if name not in tensors]
    extra = sorted(tensors.keys() - expected)
    parts = [f"missing: {first_names(missing)}"] * bool(missing)
    parts += [f"of no layer: {first_names(extra)} ({counted(len(extra), 'tensor')})"] * bool(extra)
    if parts:
        raise CheckpointError(f"{unfit}: {'; '.join(parts)}")


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str], str]:
    """Tensors on the CPU, metadata and sha256 of any safetensors file, all of one reading.

    Nothing in it is executed.

    Raises:
        CheckpointError: missing, unreadable, truncated, not safetensors, or with a ``content_sha256`` that
            does not hold.
    """
    try:
        data = read_file(path)
        begin, header = whole_header(data)
        check_content(path, header, memoryview(data)[begin:])
        return load(data), (header.get("__metadata__") or {}), hashlib.sha256(data).hexdigest()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CheckpointError(
            f"no such checkpoint: {path}", hint="a run keeps them in RUN_DIR/checkpoints/"
        ) from error
    # The library calls a type without numbers of its own, such as F4, by its key alone.
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.", hint=OTHER_COPY) from error
