"""What is said of the time that training waits for images: how much, and what to do about it."""

from __future__ import annotations

from rescli.training.events import MetricsReady

__all__ = ["PACK", "WaitVerdict", "advice", "waited_text"]

PACK = "rescli.workflows.data.pack.pack"
"""What packs images, in Python."""

_MUCH = 0.1
"""Share of the time; less is not worth a word."""

_JUDGED_AFTER_ITERATIONS = 100
_JUDGED_AFTER_SECONDS = 60.0


class WaitVerdict:
    """Judges once, when 100 iterations or a minute of training are over: early enough to begin anew."""

    def __init__(self, start_step: int, *, workers: str = "workers", pack: str = PACK) -> None:
        """
        Args:
            start_step: the iterations that were done before this process began.
            workers: what the setting is called where the advice is read.
            pack: what packs images is called there.
        """
        self._start_step, self._workers, self._pack = start_step, workers, pack
        self._seconds = self._waited = 0.0
        self._judged = False

    def __call__(self, event: MetricsReady) -> str | None:
        """A sentence to say now; None nearly always."""
        seconds = _seconds(event)
        if self._judged or event.waited_seconds is None or seconds is None:
            return None
        self._seconds += seconds
        self._waited += event.waited_seconds
        iterations = event.step - self._start_step
        if iterations < _JUDGED_AFTER_ITERATIONS and self._seconds < _JUDGED_AFTER_SECONDS:
            return None
        self._judged = True
        share = min(1.0, self._waited / self._seconds)
        todo = advice(share, workers=self._workers, pack=self._pack)
        return f"training waits for images {100 * share:.0f} % of the time{todo}" if todo else None


def advice(share: float, *, workers: str = "workers", pack: str = PACK) -> str:
    """What to do where training waits for images, to end a sentence with.

    Args:
        share: of the time that is waited, from 0 to 1.
        workers: what the setting is called where it is read.
        pack: what packs images is called there.

    Returns:
        The end of a sentence; empty where nothing need be done.
    """
    if share <= _MUCH:
        return ""
    return f"; what helps: more {workers}, or images packed once by {pack}"


def waited_text(event: MetricsReady) -> str | None:
    """The share of the window's time that was waited, in percent; None where images lie on the device."""
    seconds = _seconds(event)
    if event.waited_seconds is None or seconds is None:
        return None
    return f"{100 * min(1.0, event.waited_seconds / seconds):.0f} %"


def _seconds(event: MetricsReady) -> float | None:
    """Seconds of the window; None where the clock saw none pass."""
    return event.num_images / event.images_per_second if event.images_per_second > 0 else None
