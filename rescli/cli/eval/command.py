"""``rescli eval``: errors of checkpoints on a split. Opens the sealed test set, and says so in the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.eval.protocol_flags import Flip, MultiScale, ProtocolName, TenCrop, one_protocol
from rescli.cli.options import Device, EvalBatchSize, EvalPrecision, Json, RunDataRoot
from rescli.cli.output.messages import say
from rescli.cli.output.picture_files import require_picture_place, require_writable, write_figure
from rescli.errors import UsageError
from rescli.plurals import are, counted

if TYPE_CHECKING:
    from rescli.evaluation.result import NetResult
    from rescli.workflows.results.evaluation import Evaluation

__all__ = ["evaluate"]

_TEST_FIRST = ("test", "val", "all")
_KEPT = "logits kept from before (--no-cache computes them again)"


def evaluate(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.safetensors), or run directories: their last.", metavar="CKPT"),
    ],
    flip: Flip = False,
    ten_crop: TenCrop = False,
    multi_scale: MultiScale = False,
    protocol: ProtocolName = None,
    average: Annotated[
        Literal["probabilities", "logits"],
        typer.Option(help="What is averaged over views and nets: probabilities, as the paper, or logits."),
    ] = "probabilities",
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Also the average of all checkpoints.")
    ] = False,
    split: Annotated[
        Literal["test", "val", "train", "all"] | None,
        typer.Option(help="Which part of the data set. Unset: test, or val where it has no test part."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Another data set than the checkpoint's, e.g. imagefolder.", metavar="NAME"),
    ] = None,
    classes: Annotated[
        Literal["same", "wnids", "names"],
        typer.Option(
            help="The set's classes are the net's (same); or some of them, by WordNet id or by name: scored "
            "among all of the net's and among the set's."
        ),
    ] = "same",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Also the error of each class and what it is taken for.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the confusion matrix: .png, .svg or .pdf.", metavar="FILE"),
    ] = None,
    mistakes: Annotated[
        Path | None,
        typer.Option(help="Draw the most confident mistakes: .png, .svg or .pdf.", metavar="FILE"),
    ] = None,
    save_logits: Annotated[
        Path | None,
        typer.Option(
            help="Write logits of every view, labels and file names; must not exist.",
            metavar="FILE.safetensors",
        ),
    ] = None,
    data_root: RunDataRoot = None,
    device: Device = "auto",
    precision: EvalPrecision = "auto",
    batch_size: EvalBatchSize = None,
    use_cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep logits, and use those kept.")
    ] = True,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Go on without photographs that cannot be decoded.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure the error of checkpoints; unless told otherwise, single view, test set.

    rescli eval runs/NAME

    rescli eval a.safetensors b.safetensors --ten-crop --ensemble
    """
    # All this before the seconds of importing torch.
    checkpoints = [named_checkpoint(path) for path in checkpoints]
    name = one_protocol(protocol, flip=flip, ten_crop=ten_crop, multi_scale=multi_scale)
    if ensemble and len(checkpoints) < 2:
        raise UsageError("--ensemble averages two checkpoints or more; one was given.")
    _require_places(figure, mistakes, save_logits)
    for flag, drawn in (("--figure", figure), ("--mistakes", mistakes)):
        if drawn is not None and len(checkpoints) > 1 and not ensemble:
            raise UsageError(
                f"{flag} draws one result; {counted(len(checkpoints), 'checkpoint')} were given.",
                hint="give one checkpoint, or --ensemble to draw their average",
            )

    from rescli.workflows.running.torch_import import importing_torch, preload_torch

    preload_torch()
    with importing_torch():
        from rescli.workflows.evaluate import evaluate as evaluate_nets
        from rescli.workflows.results.evaluation import Evaluation

    results: list[NetResult] = []
    try:
        evaluation = evaluate_nets(
            checkpoints,
            split=split or _TEST_FIRST,
            protocol=name,
            dataset=dataset,
            data_root=data_root,
            device=device,
            precision=precision,
            batch_size=batch_size,
            average=average,
            ensemble=ensemble,
            together=save_logits is not None,
            classes=classes,
            cache=use_cache,
            skip_damaged=skip_damaged,
            progress=True,
            on_start=lambda path: say(f"{path}: evaluating ..."),
            on_result=results.append,
        )
        for result in results:
            if names := result.row.get("skipped_images"):
                say(
                    f"{counted(len(names), 'damaged image')} {are(len(names))} not counted: "
                    f"{', '.join(names[:3])}"
                )
        # Files before words: stdout may be a pipe that nobody reads to its end.
        _write(evaluation, save_logits, figure, mistakes)
    finally:  # what was measured is printed, whatever came after it
        if results:
            _print(Evaluation(tuple(results)), as_json=json, by_class=per_class)


def _require_places(figure: Path | None, mistakes: Path | None, save_logits: Path | None) -> None:
    """Whatever could not be written at the end is refused at the beginning."""
    require_picture_place("--figure", figure)
    require_picture_place("--mistakes", mistakes)
    if save_logits is None:
        return
    if save_logits.suffix != ".safetensors":
        raise UsageError(f"--save-logits {save_logits}: the file must end in .safetensors.")
    if os.path.lexists(save_logits):
        raise UsageError(
            f"--save-logits {save_logits} exists and is not overwritten.",
            hint="name another file, or remove it",
        )
    require_writable(save_logits)


def _write(
    evaluation: Evaluation, save_logits: Path | None, figure: Path | None, mistakes: Path | None
) -> None:
    if figure is not None:
        write_figure(figure, evaluation.confusion_figure())
        say(f"figure: {figure}")
    if mistakes is not None:
        write_figure(mistakes, evaluation.mistakes_figure())
        say(f"mistakes: {mistakes}")
    if save_logits is not None:  # last: these are not overwritten by the same command
        evaluation.save_logits(save_logits)
        say(f"logits: {save_logits}")


def _print(evaluation: Evaluation, *, as_json: bool, by_class: bool) -> None:
    if as_json:
        from rescli.cli.output.results import print_json

        print_json(evaluation.to_json(by_class=by_class))
    else:
        print(evaluation.text(by_class=by_class, kept=_KEPT))
