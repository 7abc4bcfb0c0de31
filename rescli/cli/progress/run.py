"""The bars of one run, with advice in the words of the command line."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from rescli.cli.output.messages import drop_stderr
from rescli.report.progress.image_wait import advice as advice_in_words
from rescli.report.progress.run import training_progress

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec
    from rescli.training.events import Sink

__all__ = ["advice", "run_progress"]

MORE_WORKERS, PACK = "--workers", "rescli data pack"

advice = partial(advice_in_words, workers=MORE_WORKERS, pack=PACK)


def run_progress(spec: RunSpec, begin: int) -> AbstractContextManager[Sink]:
    """A block whose sink shows a run from iteration ``begin``: bars on a terminal, lines elsewhere."""
    return training_progress(
        name=spec.name,
        total_steps=spec.iterations,
        start_step=begin,
        workers=MORE_WORKERS,
        pack=PACK,
        on_broken=drop_stderr,
    )
