"""``evaluate``: the errors of trained nets on a part of a data set, by any protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rescli.checkpoints.locate import Source, source_path
from rescli.errors import UsageError
from rescli.evaluation.classes import MATCHINGS, Matching
from rescli.evaluation.logits.cache import LogitsCache
from rescli.evaluation.protocols import AVERAGES, Average, named_protocol
from rescli.evaluation.result import NetResult
from rescli.evaluation.result import ensemble as ensemble_of
from rescli.hardware.numerics import PRECISIONS, choose_device
from rescli.report.progress.counting import Count, counting
from rescli.runs.evaluating.evaluator import Evaluator
from rescli.spec.from_names import named_dataset
from rescli.workflows.arguments import check_count, check_name, check_splits
from rescli.workflows.load import checkpoint_of
from rescli.workflows.notes import with_notes
from rescli.workflows.results.evaluation import Evaluation
from rescli.workflows.results.net import Net

__all__ = ["evaluate"]

_SEALED = ("val", "all")
"""What is evaluated where nobody says else: the test set is opened only when told."""


@with_notes
def evaluate(
    nets: Net | Source | Sequence[Net | Source],
    *,
    split: str | Sequence[str] | None = None,
    protocol: str | None = None,
    dataset: str | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    average: Average = "probabilities",
    ensemble: bool = False,
    together: bool = False,
    classes: Matching = "same",
    cache: bool = True,
    skip_damaged: bool = False,
    progress: Count | bool | None = None,
    on_start: Callable[[str], None] | None = None,
    on_result: Callable[[NetResult], None] | None = None,
) -> Evaluation:
    """Measure the errors of trained nets, by default on the validation images by a single view.

    A test set is opened only where ``split`` names it; in a run directory each opening is written down.

    Args:
        nets: one or several: loaded nets, runs, run directories, checkpoints, exported folders.
        split: ``val``, ``test``, ``train``, or ``all`` of a flat folder; of several the first that the set
            has. None: val, or all of a flat folder.
        protocol: None for the single view; ``ten-crop``, ``flip``, ``multi-scale`` or a plugin's.
        dataset: another set than the nets' own, by its name.
        data_root: where the data lies; None for where the run had it, RESCLI_DATA, else the cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: of the convolutions; ``auto``: as trained.
        batch_size: inputs per forward pass. Counts were the same for all sizes, in fp32 and in bf16; a loss
            may differ in its last digits.
        average: what is averaged over views and nets.
        ensemble: also the average of all nets.
        together: refuse nets of other images or classes than the first one's, as an ensemble does: their
            logits are to go into one file.
        classes: how the set's classes belong to the nets': ``same``, or some of them, found by ``wnids`` or
            by ``names``.
        cache: keep logits, and use those kept.
        skip_damaged: leave out photographs that cannot be decoded, and name them, in place of an error; a net
            whose training did so is evaluated so in any case.
        progress: True for a bar, or lines where nothing can be drawn; False for nothing; None for a bar on a
            terminal and in a notebook; or a function, called with (views done, views of all images) of the
            net at work.
        on_start: called with the name of each net before it is evaluated.
        on_result: called with each result as soon as it is there, which an error later does not undo.

    Raises:
        CheckpointError: a checkpoint is missing or damaged, or made for other classes.
        DataError: images missing or damaged.
        UsageError: choices that do not fit each other, or a device that is not here.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> found = rescli.evaluate("runs/tiny", protocol="flip")
        >>> row = found.rows[0]
        >>> row["split"], row["num_images"], row["num_views"]
        ('val', 1000, 2)
        >>> [mistake.index for mistake in found.mistakes(most=3)] != []
        True
    """
    given: list[Net | Source] = list(nets) if isinstance(nets, list | tuple) else [nets]  # type: ignore[list-item]
    if not given:
        raise UsageError("there is no net to evaluate.")
    check_splits(split)
    check_name("precision", precision, PRECISIONS)
    check_name("average", average, AVERAGES)
    check_name("classes", classes, MATCHINGS)
    check_count("batch_size", batch_size, least=1)
    choose_device(device)
    if ensemble and len(given) < 2:
        raise UsageError("an ensemble averages two checkpoints or more; one was given.")
    if protocol is not None:
        named_protocol(protocol)  # refuses an unknown name before anything is read
    results: list[NetResult] = []

    def keep(result: NetResult) -> None:
        results.append(result)
        if on_result is not None:
            on_result(result)

    with counting(progress) as shown:
        evaluator = Evaluator(
            split=_SEALED if split is None else split,
            protocol=protocol,
            average=average,
            dataset=named_dataset(dataset) if dataset is not None else None,
            matching=classes,
            data_root=Path(data_root) if data_root is not None else None,
            device=device,
            precision=precision,
            batch_size=batch_size,
            cache=LogitsCache.of_user() if cache else None,
            progress=shown,
            together=ensemble or together,
            skip_damaged=skip_damaged,
        )
        for net in given:
            path = source_path(net)
            if on_start is not None:
                on_start(str(path))
            keep(evaluator.evaluate_checkpoint(path, checkpoint_of(net)))
    if ensemble:
        keep(ensemble_of(results, average))
    return Evaluation(tuple(results))
