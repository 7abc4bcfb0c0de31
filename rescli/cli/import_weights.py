"""``rescli import``: weights that others trained, as a checkpoint that every other command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rescli.cli.options import DatasetKeys, Json
from rescli.cli.output.columns import print_line
from rescli.foreign_text import shell_path, shell_word
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.workflows.import_weights import ImportResult

__all__ = ["import_weights"]

_SHOWN = 6
"""Names, of more."""

_FROM = {"given": "as given", "folders": "the folders of --data-root", "file": "as the file has them"}


def import_weights(
    weights: Annotated[
        Path,
        typer.Argument(
            help="A file of PyTorch or a safetensors file, whatever its name; a state dict anywhere in it.",
            metavar="WEIGHTS",
        ),
    ],
    model: Annotated[str, typer.Option(help="The net that they are weights of: resnet-N or plain-N.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="The data set that they were trained on: cifar10, cifar100, imagenet; imagefolder for "
            "images of your own."
        ),
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
    which: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Which set of weights to take where the file holds several, such as model_ema. Unset: the "
            "only one that is no average.",
            metavar="NAME",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Names of an imagefolder's classes in the order of the net's outputs: a,b,c, or a text file "
            "with a name on each line.",
            metavar="NAMES",
        ),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(
            help="A folder of class folders, whose sorted names are the classes of an imagefolder.",
            metavar="DIR",
        ),
    ] = None,
    set_: DatasetKeys = None,
    json: Json = False,
) -> None:
    """Turn weights from elsewhere into a checkpoint with the same logits. No pickled code is run.

    rescli import resnet20.th --model resnet-20 --dataset cifar10 --out resnet20.safetensors

    rescli import last.ckpt --model resnet-18 --shortcut B --dataset imagefolder --data-root DIR --out
    net.safetensors

    rescli import last.ckpt --model resnet-20 --dataset imagefolder --data-root DIR --set
    data.dataset.image_size=32 --out net.safetensors
    """
    from rescli.cli.output.messages import say
    from rescli.cli.output.results import print_json
    from rescli.cli.output.wording import in_flags
    from rescli.spec.load import parse_overrides
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
            which=which,
            classes=classes,
            data_root=data_root,
            changes=parse_overrides(set_ or ()),
            warn=lambda text: say(f"warning: {text}"),
        )
    if json:
        print_json({**made.to_dict(), "eval_command": _eval_command(made, data_root)})
    else:
        _print_facts(made, data_root)


def _eval_command(made: ImportResult, data_root: Path | None) -> str:
    """The command that measures the checkpoint's test error."""
    command = f"rescli eval {shell_path(made.checkpoint)}"
    if made.classes_from == "dataset":
        return command
    if list(made.class_names) != sorted(made.class_names):  # the order of folders is that of their names
        command += " --classes names"
    return f"{command} --data-root {shell_word(str(data_root)) if data_root is not None else 'DIR'}"


def _print_facts(made: ImportResult, data_root: Path | None) -> None:
    from rescli.importers.normalizations import NORMALIZATIONS

    option = f", shortcut {made.shortcut}" if made.shortcut else ""
    print_line(f"{made.model}{option}, {counted(made.num_classes, 'class')} of {made.dataset}")
    if made.classes_from != "dataset":
        print_line(f"classes        {_classes(made)}")
    print_line(f"params         {made.params:,}")
    if made.weights is not None:
        print_line(f"weights        {_which(made)}")
    for name, text in (
        ("prefix", f"{made.prefix} taken off the names" if made.prefix not in ("", "module.") else ""),
        ("head", f"{made.head}, taken as fc" if made.head else ""),
        ("bias", "none in the head: zeros" if made.zero_bias else ""),
        ("left out", ", ".join(made.left_out[:_SHOWN]) + _and_more(len(made.left_out))),
        ("numbers", f"{', '.join(made.stored_in)}, now float32" if made.stored_in != ("float32",) else ""),
    ):
        if text:
            print_line(f"{name:<15}{text}")
    print_line(f"layout         {made.layout}")
    if made.normalization in NORMALIZATIONS:
        mean, std = (
            " ".join(str(round(channel, 4)) for channel in channels)
            for channels in NORMALIZATIONS[made.normalization]
        )
        print_line(f"normalization  {made.normalization}: mean {mean}, std {std}")
    else:
        print_line(f"normalization  {made.normalization} (as the file has it)")
    if made.normalization_assumed:
        print_line(f"               (assumed of {made.layout} weights; --normalization names another)")
    print_line(f"checkpoint     {made.checkpoint}")
    print_line(f"test error:    {_eval_command(made, data_root)}")


def _which(made: ImportResult) -> str:
    if not made.other_weights:
        return f"{made.weights}, an average; there are no others"
    others = ", ".join(made.other_weights)
    return (
        f"{made.weights} (also there: {others}; --weights {shell_word(made.other_weights[0])} takes another)"
    )


def _classes(made: ImportResult) -> str:
    names = ", ".join(made.shown_names[:_SHOWN]) + _and_more(len(made.class_names))
    return f"{names} ({_FROM[made.classes_from]})"


def _and_more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
