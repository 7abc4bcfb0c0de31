"""The parts of a run that was stopped, as it began."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from rescli.errors import CheckpointError, DataError, SpecError, UsageError
from rescli.hardware.launcher import is_first, num_ranks
from rescli.hardware.numerics import Numerics, choose_device, use_threads
from rescli.hardware.ranks import rank_device
from rescli.hardware.threads.cores import usable_cores
from rescli.remedy import Remedy
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.data_root.gone import require_images_of_run
from rescli.runs.directory import RunDir
from rescli.runs.record import data_record
from rescli.runs.resuming.images import other_images, with_images_of_now
from rescli.runs.saved_state import SavedState, load_state
from rescli.runs.stored_record import read_record
from rescli.runs.where import Where

__all__ = ["prepare_resume"]

_log = logging.getLogger(__name__)


def prepare_resume(
    run_dir: RunDir, where: Where, *, skip_damaged: bool | None = None
) -> tuple[Assembly, SavedState | None]:
    """The parts of a run that was stopped, and its newest state; None where none was saved yet.

    The precision, the engine, the kernels and the number of threads of the first start are kept: other sums
    are other bits.

    Args:
        run_dir: the run; the caller holds its lock.
        where: names another engine, other kernels, another device or another place of the images than the
            run's; what it leaves open is as the run began.
        skip_damaged: from now on leave out damaged images, or not; None for what the run did so far.

    Raises:
        CheckpointError: the state is damaged, or gone though one was or may have been saved; or the note of
            the data root is damaged.
        RunDirError: it belongs to another spec.
        DataError: the images are not those of the run.
        UsageError: the run's device is not there.
    """
    spec = run_dir.read_spec()
    if skip_damaged is not None:
        data = spec.data.model_copy(update={"skip_damaged": skip_damaged or None})
        spec = spec.model_copy(update={"data": data})
    saved = load_state(run_dir.state, spec)
    if where.data_root is None:
        where = replace(where, data_root=run_dir.read_data_root())
        if spec.data.dataset.any_size:
            require_images_of_run(run_dir, where.data_root)
    if saved is None:
        _check_nothing_was_saved(run_dir, where.data_root)
        return assemble(with_images_of_now(spec, where.data_root), where), None
    _say_other_ranks(run_dir)
    numerics = Numerics(_device_to_resume_on(saved, where.device), saved.precision)
    if numerics.device.type == "cpu":
        _use_threads(where.threads, saved.threads)
    if where.data_root is None and saved.data_root is not None:
        where = replace(where, data_root=Path(saved.data_root))
    try:
        assembly = assemble(spec, _as_begun(saved, numerics, where), numerics=numerics)
    except DataError as error:
        try:
            now = with_images_of_now(spec, where.data_root)
        except (DataError, SpecError):
            # Nothing can be trained on these images: what is wrong with them is said already.
            raise error from None
        if now != spec:
            raise other_images(run_dir, spec, where.data_root, now=now) from error
        raise
    if data_record(assembly) != saved.data:
        raise other_images(run_dir, spec, where.data_root)
    if is_first():
        _say_what_is_other(saved, assembly, where)
    return assembly, saved


def _say_other_ranks(run_dir: RunDir) -> None:
    """Batch normalisation sees the share of a process: another number of them is another training."""
    try:
        begun = read_record(run_dir).get("ranks") or 1
    except CheckpointError:  # its state is what counts
        return
    if begun != num_ranks() and is_first():
        _log.warning(
            "the run was trained by %d %s so far and goes on in %d: batch normalisation sees other shares of "
            "a batch, and the weights will be others than those of a run without a stop.",
            *(begun, "process" if begun == 1 else "processes", num_ranks()),
        )


def _say_what_is_other(saved: SavedState, assembly: Assembly, where: Where) -> None:
    """What was asked for; and kernels that are gone end a resume, but a processor may lack a part of them."""
    asked = [
        f"{name} {now} in place of {begun}"
        for name, now, begun in (
            ("kernels", where.kernels and assembly.kernels.name, saved.kernels),
            ("engine", where.engine, saved.engine),
            ("threads", assembly.numerics.device.type == "cpu" and where.threads, saved.threads),
        )
        if now and now not in ("auto", begun)
    ]
    if asked:
        _log.warning("the run goes on with %s, and not bit for bit as it would have.", " and ".join(asked))
    now = assembly.kernels.convolutions
    if (
        where.kernels is None
        and assembly.kernels.name == "native"
        and saved.convolutions == "winograd" != now.name
    ):
        _log.warning(
            "the run began with Winograd's convolutions, which do not work here (%s): it goes on with "
            "torch's, and not bit for bit.",
            now.why_torch,
        )


def _use_threads(requested: int | None, begun_with: int) -> None:
    """As many as the run began with, unless another number is asked for."""
    cores = usable_cores()
    if requested is None and begun_with > cores:
        _log.warning(
            "the run began with %d threads, and keeps them on the %d %s here, so that it ends with the "
            "same bits; %s lets that go.",
            *(begun_with, cores, "core" if cores == 1 else "cores", Remedy("threads", cores)),
        )
    use_threads(requested or begun_with)


def _as_begun(saved: SavedState, numerics: Numerics, where: Where) -> Where:
    """What computed so far, unless others are named or the device is of another kind."""
    if numerics.device.type != torch.device(saved.device).type:
        return where
    if num_ranks() > 1:  # the engine and the kernels are those of several processes
        return replace(where, convolutions=None if where.kernels else saved.convolutions)
    if where.engine is not None and where.engine != saved.engine:
        return where
    if where.kernels is not None:
        return replace(where, engine=saved.engine)
    return replace(where, engine=saved.engine, kernels=saved.kernels, convolutions=saved.convolutions)


def _check_nothing_was_saved(run_dir: RunDir, data_root: Path | None) -> None:
    """To begin again would overwrite what the run has: only where it has nothing."""
    gone = f"{run_dir.state / 'latest.json'} is gone"
    hint = "its checkpoints can still be evaluated; to train again"
    remedy = Remedy("train_anew", run_dir.spec, also={"data_root": data_root})
    try:
        step = read_record(run_dir).get("last_saved_iteration")
    except CheckpointError as error:
        # A checkpoint is written just before its state.
        if run_dir.last.is_file():
            why = str(error).removesuffix(".")
            raise CheckpointError(
                f"{gone}, and whether a state was saved nobody can say: {why}; {run_dir.last} is there.",
                hint=hint,
                remedy=remedy,
                page="resume-refused",
            ) from error
        return
    if step is not None:
        raise CheckpointError(
            f"{run_dir.path} saved a state at iteration {step}, but {gone}.",
            hint=hint,
            remedy=remedy,
            page="resume-refused",
        )


def _device_to_resume_on(saved: SavedState, requested: str) -> torch.device:
    if requested != "auto":
        return choose_device(rank_device(requested))
    try:
        # A rank's own number is the launcher's to say.
        return choose_device(rank_device(saved.device.partition(":")[0]))
    except UsageError as error:
        raise UsageError(
            f"the run was on {saved.device}, which is not here.",
            remedy=Remedy("device", "cpu", "or another: it goes on there, but not bit for bit"),
            page="the-device-is-not-there",
        ) from error
