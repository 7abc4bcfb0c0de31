"""``rescli import``: weights that others trained, as a checkpoint that every other command takes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.importers.base import Importer
    from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["import_weights"]

_AUTO = "auto"


def import_weights(
    weights: Annotated[
        Path, typer.Argument(help="A state dict: .th, .pth, .pyth, .pt or .safetensors.", metavar="WEIGHTS")
    ],
    model: Annotated[str, typer.Option(help="The net that they are weights of: resnet-N or plain-N.")],
    dataset: Annotated[
        str, typer.Option(help="The data set that they were trained on: cifar10, cifar100, imagenet.")
    ],
    out: Annotated[
        Path, typer.Option(help="The checkpoint to write; must not exist.", metavar="FILE.safetensors")
    ],
    shortcut: Annotated[
        Literal["A", "B", "C"] | None,
        typer.Option(help="A zero padding, B projection where the size changes, C everywhere."),
    ] = None,
    stride_on: Annotated[
        Literal["1x1", "3x3"] | None,
        typer.Option(
            help="Stride of bottlenecks: on the 1x1 (the paper) or the 3x3 (torchvision, timm, pycls's model "
            "zoo). The names do not show it, so bottlenecks need it said."
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Whose names the tensors have: akamaster, pycls or torchvision; auto looks at them."
        ),
    ] = _AUTO,
    normalization: Annotated[
        str,
        typer.Option(
            help="What the images were normalised with in training: imagenet, cifar10-channels (std 0.247 "
            "0.243 0.262), cifar10-channels-255 (the same, rounded as fb.resnet.torch has it), "
            "cifar10-image-std (std 0.202 0.199 0.201), cifar100-channels, half (pixels in [-1, 1]), none "
            "(pixels in [0, 1]). auto is the layout's: cifar10-channels-255 for pycls's CIFAR nets, else "
            "imagenet."
        ),
    ] = _AUTO,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Turn weights from elsewhere into a checkpoint with the same logits. No pickled code is run.

    rescli import resnet20.th --model resnet-20 --dataset cifar10 --out resnet20.safetensors
    """
    from rescli.spec.from_names import named_dataset

    _require_new(out)
    importers = _importers(layout)
    dataset_spec = named_dataset(dataset)
    spec = _model(model, dataset_spec, shortcut=shortcut, stride_on=stride_on)

    from rescli.cli.output.results import print_json
    from rescli.importers.convert import recognise, to_checkpoint
    from rescli.importers.normalizations import named_normalization
    from rescli.importers.weights_file import read_weights

    scheme = None if normalization == _AUTO else normalization
    if scheme is not None:
        named_normalization(scheme)  # refuses an unknown name before the file is read
    read = read_weights(weights)
    importer = recognise(read, importers) if layout == _AUTO else importers[layout]
    checkpoint = to_checkpoint(read, importer, model=spec, dataset=dataset_spec, normalization=scheme)
    facts = _facts(checkpoint, out, assumed=scheme is None)
    checkpoint.write(out)
    if json:
        print_json(facts)
    else:
        _print_facts(facts)


def _require_new(out: Path) -> None:
    from rescli.errors import UsageError

    if out.suffix != ".safetensors":
        raise UsageError(
            f"--out {out}: a checkpoint is a .safetensors file.", hint=f"--out {out}.safetensors"
        )
    if out.exists() or out.is_symlink():
        raise UsageError(
            f"--out {out} exists and is not overwritten.", hint="name another file, or remove it"
        )


def _importers(layout: str) -> dict[str, Importer]:
    """By name: the one asked for, or all that can be loaded."""
    from rescli import registry
    from rescli.errors import UnknownNameError, UsageError

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
            print(f"warning: {error}", file=sys.stderr)
    return importers


def _model(name: str, dataset: DatasetSpec, *, shortcut: str | None, stride_on: str | None) -> ModelSpec:
    from rescli.errors import UsageError
    from rescli.models.specs import model_spec

    given = {"shortcut": shortcut, "stride_on": stride_on}
    spec = model_spec(
        name,
        image_size=dataset.image_size,
        **{key: value for key, value in given.items() if value is not None},
    )
    block = getattr(spec, "block", None)
    if block is not None and block.kind == "bottleneck" and stride_on is None:
        raise UsageError(
            f"{spec.name} has bottlenecks, and the weights do not show where their stride is.",
            hint="--stride-on 3x3 for torchvision's, timm's and pycls's model zoo, 1x1 for the paper's",
        )
    return spec


def _facts(checkpoint: Checkpoint, out: Path, *, assumed: bool) -> dict[str, Any]:
    model = checkpoint.model
    # Built and loaded once as eval will: whatever could fail there fails here, before there is a file.
    net = checkpoint.build_model()
    source = checkpoint.data["imported_from"]
    return {
        "checkpoint": str(out),
        "model": model.name,
        "shortcut": getattr(model, "shortcut", None),
        "dataset": checkpoint.dataset.kind,
        "num_classes": len(checkpoint.class_names),
        "params": sum(parameter.numel() for parameter in net.parameters()),
        "layout": source["layout"],
        "normalization": source["normalization"],
        "normalization_assumed": assumed,
        "imported_from": {"file": source["file"], "sha256": source["sha256"]},
        "eval_command": f"rescli eval {shlex.quote(str(out))}",
    }


def _print_facts(facts: dict[str, Any]) -> None:
    from rescli.importers.normalizations import NORMALIZATIONS

    mean, std = (
        " ".join(str(round(channel, 4)) for channel in channels)
        for channels in NORMALIZATIONS[facts["normalization"]]
    )
    option = f", shortcut {facts['shortcut']}" if facts["shortcut"] else ""
    print(f"{facts['model']}{option}, {facts['num_classes']} classes of {facts['dataset']}")
    print(f"params         {facts['params']:,}")
    print(f"layout         {facts['layout']}")
    print(f"normalization  {facts['normalization']}: mean {mean}, std {std}")
    if facts["normalization_assumed"]:
        print(f"               (assumed of {facts['layout']} weights; --normalization names another)")
    print(f"checkpoint     {facts['checkpoint']}")
    print(f"test error:    {facts['eval_command']}")
