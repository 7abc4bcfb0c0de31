"""``rescli import``: weights that others trained, as a checkpoint that every other command takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rescli.cli.options import Json

if TYPE_CHECKING:
    from rescli.workflows.import_weights import ImportResult

__all__ = ["import_weights"]


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
        typer.Option(
            help="Shortcuts of the net: A zero padding, B projection where the size changes, C everywhere."
        ),
    ] = None,
    stride_on: Annotated[
        Literal["1x1", "3x3"] | None,
        typer.Option(
            help="Stride of bottlenecks on the 1x1 convolution (the paper) or the 3x3 (torchvision, timm, "
            "pycls's model zoo). The names do not show it, so bottlenecks need it said."
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Whose names the tensors have: akamaster, pycls or torchvision; auto looks at them."
        ),
    ] = "auto",
    normalization: Annotated[
        str,
        typer.Option(
            help="What the images were normalised with in training: imagenet, cifar10-channels (std 0.247 "
            "0.243 0.262), cifar10-channels-255 (the same, rounded as fb.resnet.torch has it), "
            "cifar10-image-std (std 0.202 0.199 0.201), cifar100-channels, half (pixels in [-1, 1]), none "
            "(pixels in [0, 1]). auto is the layout's: cifar10-channels-255 for pycls's CIFAR nets, else "
            "imagenet."
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """Turn weights from elsewhere into a checkpoint with the same logits. No pickled code is run.

    rescli import resnet20.th --model resnet-20 --dataset cifar10 --out resnet20.safetensors
    """
    from rescli.cli.output.messages import say
    from rescli.cli.output.results import print_json
    from rescli.cli.output.wording import in_flags
    from rescli.workflows import import_weights as workflow

    with in_flags({f"{out} exists": f"--out {out} exists", f"{out}: a": f"--out {out}: a"}):
        made = workflow.import_weights(
            weights,
            model,
            dataset,
            out,
            shortcut=shortcut,
            stride_on=stride_on,
            layout=layout,
            normalization=normalization,
            warn=lambda text: say(f"warning: {text}"),
        )
    if json:
        print_json({**made.to_dict(), "eval_command": _eval_command(made)})
    else:
        _print_facts(made)


def _eval_command(made: ImportResult) -> str:
    """The command that measures the checkpoint's test error."""
    return f"rescli eval {shlex.quote(made.checkpoint)}"


def _print_facts(made: ImportResult) -> None:
    from rescli.importers.normalizations import NORMALIZATIONS

    mean, std = (
        " ".join(str(round(channel, 4)) for channel in channels)
        for channels in NORMALIZATIONS[made.normalization]
    )
    option = f", shortcut {made.shortcut}" if made.shortcut else ""
    print(f"{made.model}{option}, {made.num_classes} classes of {made.dataset}")
    print(f"params         {made.params:,}")
    print(f"layout         {made.layout}")
    print(f"normalization  {made.normalization}: mean {mean}, std {std}")
    if made.normalization_assumed:
        print(f"               (assumed of {made.layout} weights; --normalization names another)")
    print(f"checkpoint     {made.checkpoint}")
    print(f"test error:    {_eval_command(made)}")
