"""What a training would refuse before its first iteration, found out without beginning it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rescli.runs.where import Where
from rescli.spec.run import RunSpec
from rescli.workflows.arguments import checked

__all__ = ["Rehearsal", "rehearse"]


@dataclass(frozen=True)
class Rehearsal:
    """Where a training would be done.

    Attributes:
        where: the machine's side of it.
        out: the run directory; None for a new one below ``runs``.
        processes: how many would train together.
    """

    where: Where
    out: Path | None = None
    processes: int = 1


def rehearse(spec: RunSpec, wanted: Rehearsal) -> None:
    """Do nothing where a training of the spec would begin.

    The device and what is computed with are looked at where they were named, and images where they must lie:
    their files are listed and probed, and decoded as far as that takes some seconds. Nothing is downloaded.
    Torch is imported only for what needs it.

    Args:
        spec: whole, with what only the files tell filled in.
        wanted: where it would be trained.

    Raises:
        RescliError: what the training would raise.
    """
    where = wanted.where
    if wanted.out is not None:
        from rescli.runs.directory import RunDir

        RunDir.try_out(wanted.out)
    named = where.device != "auto" or any(
        given is not None for given in (where.engine, where.kernels, where.workers, where.threads)
    )
    if named or spec.precision == "fp16":
        _require_machine(spec, where)
    if wanted.processes > 1 or spec.data.batch_size == 1:
        from rescli.hardware.ranks import Ranks
        from rescli.runs.assembly import check_statistics

        ranks = Ranks(0, wanted.processes)
        ranks.share(spec.data.batch_size)
        check_statistics(spec, ranks)
    if spec.data.dataset.any_size:
        _require_images(spec, where.data_root)
    elif where.data_root is not None and not spec.data.dataset.would_download(where.data_root):
        spec.data.dataset.check_available(where.data_root)
    if spec.start_from is not None:
        from rescli.checkpoints.warm_start import head_of, read_start

        start, classes = read_start(spec.start_from), spec.data.dataset.class_names
        if classes is not None:
            head_of(spec, start, classes)


def _require_machine(spec: RunSpec, where: Where) -> None:
    from rescli.runs.assembly import numerics_for
    from rescli.training.engines.choose import check_engine, choose_kernels

    engine = checked(where).engine or "auto"
    numerics = numerics_for(spec, where.device)
    check_engine(engine, numerics)
    if where.kernels is not None:
        choose_kernels(where.kernels, numerics, engine=engine)


def _require_images(spec: RunSpec, data_root: Path | None) -> None:
    from rescli.spec.photos import PhotoSetSpec

    dataset = spec.data.dataset
    if not isinstance(dataset, PhotoSetSpec):  # of a plugin, whose images only it can list
        return
    # Sizes that are known to everybody may be planned with by somebody who has no images yet.
    if data_root is None and dataset.is_known:
        return
    from rescli.data.photos.probe import require_whole

    parts = ("train", "val") if dataset.sizes["val"] else ("train",)
    for split, files in dataset.listed(data_root, parts).items():
        if not spec.data.skip_damaged:
            require_whole(files, split, decode=True)
