"""The bars of several runs, with advice in the words of the command line."""

from __future__ import annotations

from functools import partial

from rescli.cli.progress.run import MORE_WORKERS
from rescli.report.progress.queue import campaign_progress as progress_in_words

__all__ = ["campaign_progress"]

campaign_progress = partial(progress_in_words, workers=MORE_WORKERS)
