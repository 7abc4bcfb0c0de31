"""``rescli eval``: figures of checkpoints on a split. Opens the sealed test set, and says so in the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.output.messages import say
from rescli.errors import UsageError

if TYPE_CHECKING:
    from rescli.evaluation.result import Evaluated
    from rescli.runs.evaluator import Evaluator

__all__ = ["evaluate"]

_FIGURE_SUFFIXES = (".pdf", ".png", ".svg")


def evaluate(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.safetensors), or run directories: their last.", metavar="CKPT..."),
    ],
    flip: Annotated[bool, typer.Option("--flip", help="The single view and its mirror image.")] = False,
    ten_crop: Annotated[
        bool,
        typer.Option("--ten-crop", help="Corners, centre and their mirror images; 32x32 sets padded by 4."),
    ] = False,
    multi_scale: Annotated[
        bool, typer.Option("--multi-scale", help="Fully convolutional at several scales, with mirror images.")
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(help="Another by its name; the default is single (CIFAR) or center224.", metavar="NAME"),
    ] = None,
    average: Annotated[
        Literal["probabilities", "logits"],
        typer.Option(help="Of the views and of an ensemble: softmax probabilities, as the paper, or logits."),
    ] = "probabilities",
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Also the average of all checkpoints.")
    ] = False,
    split: Annotated[
        Literal["test", "val", "train", "all"] | None,
        typer.Option(help="Which part of the data set; unset: test, or val where it has no test part."),
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
    save_logits: Annotated[
        Path | None,
        typer.Option(
            help="Write logits of every view, labels and file names; must not exist.",
            metavar="FILE.safetensors",
        ),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Of the convolutions; auto: as trained, fp32 for imported weights."),
    ] = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Inputs per forward pass; changes no count. Unset: 500, or 64 of 224x224 pixels."
        ),
    ] = None,
    use_cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep logits, and use those kept.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Measure the error of checkpoints, single view on the test set unless the flags say else.

    rescli eval runs/NAME

    rescli eval a.safetensors b.safetensors --ten-crop --ensemble
    """
    checkpoints = [named_checkpoint(path) for path in checkpoints]  # before the seconds of importing torch
    name = _one_protocol(protocol, flip=flip, ten_crop=ten_crop, multi_scale=multi_scale)
    if ensemble and len(checkpoints) < 2:
        raise UsageError("--ensemble averages two checkpoints or more; one was given.")
    _require_places(figure, save_logits)
    if figure is not None and len(checkpoints) > 1 and not ensemble:
        raise UsageError(
            f"--figure draws one result; {len(checkpoints)} checkpoints were given.",
            hint="give one checkpoint, or --ensemble to draw their average",
        )

    from rescli.cli.eval.output import eval_progress, print_results
    from rescli.evaluation.logits_cache import LogitsCache
    from rescli.evaluation.protocols import choose_protocol
    from rescli.runs.evaluator import Evaluator
    from rescli.spec.from_names import named_dataset

    if name is not None:
        choose_protocol(name, any_size=False)  # refuses an unknown name before anything is read
    evaluator = Evaluator(
        split=split,
        protocol=name,
        average=average,
        dataset=named_dataset(dataset) if dataset is not None else None,
        matching=classes,
        data_root=data_root,
        device=device,
        precision=precision,
        batch_size=batch_size,
        cache=LogitsCache.of_user() if use_cache else None,
        together=ensemble or save_logits is not None,
    )
    results: list[Evaluated] = []
    try:
        with eval_progress() as evaluator.progress:
            _evaluate_all(evaluator, checkpoints, results, ensemble=ensemble)
        # Files before words: stdout may be a pipe that nobody reads to its end.
        if save_logits is not None:
            _save(save_logits, results)
        if figure is not None:
            _draw(figure, results[-1])
    finally:  # what was measured is printed, whatever came after it
        if results:
            print_results(results, as_json=json, by_class=per_class)


def _evaluate_all(
    evaluator: Evaluator, checkpoints: list[Path], results: list[Evaluated], *, ensemble: bool
) -> None:
    from rescli.evaluation import result as evaluated

    for path in checkpoints:
        say(f"{path}: evaluating ...")
        results.append(evaluator.evaluate(path))
    if ensemble:
        results.append(evaluated.ensemble(results, evaluator.average))


def _one_protocol(name: str | None, *, flip: bool, ten_crop: bool, multi_scale: bool) -> str | None:
    flags = {"flip": flip, "ten-crop": ten_crop, "multi-scale": multi_scale}
    given = [flag for flag, is_set in flags.items() if is_set]
    if name is not None:
        given.append(name)
    if len(given) > 1:
        raise UsageError(
            f"one protocol at a time; {' and '.join(given)} were given.",
            hint="ten-crop and multi-scale contain the mirror images; ask for one after the other",
        )
    return given[0] if given else None


def _require_places(figure: Path | None, save_logits: Path | None) -> None:
    """Whatever could not be written at the end is refused at the beginning."""
    if figure is not None and figure.suffix.lower() not in _FIGURE_SUFFIXES:
        raise UsageError(f"--figure {figure}: a picture ends in one of {', '.join(_FIGURE_SUFFIXES)}.")
    if save_logits is not None:
        if save_logits.suffix != ".safetensors":
            raise UsageError(f"--save-logits {save_logits}: the file must end in .safetensors.")
        if os.path.lexists(save_logits):
            raise UsageError(
                f"--save-logits {save_logits} exists and is not overwritten.",
                hint="name another file, or remove it",
            )
    for path in (figure, save_logits):
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            raise UsageError(f"no such folder: {path.parent}", hint=f"mkdir -p {path.parent}")
        if path.is_dir() or not os.access(folder, os.W_OK):
            raise UsageError(f"{path} cannot be written: it is a folder, or lies in one that is read-only.")


def _save(path: Path, results: list[Evaluated]) -> None:
    from rescli.checkpoints.logits_file import write_logits

    write_logits(path, [result for result in results if result.logits_NVK is not None])
    say(f"logits: {path}")


def _draw(path: Path, result: Evaluated) -> None:
    from rescli.evaluation.result import per_class
    from rescli.files import write_atomically
    from rescli.report.figures import confusion_figure

    rows = per_class(result)
    row = result.row
    error = row.get("subset", row)["top1_error"]
    title = f"{row['model']} on {row['dataset']} {row['split']}: {error:.2f} % error"
    picture = confusion_figure(
        [entry["predicted"] for entry in rows],
        [entry["class"] for entry in rows],
        title=title,
        format=path.suffix.lower().removeprefix("."),
    )
    write_atomically(path, picture)
    say(f"figure: {path}")
