"""Images per second of the training loop, beside what others would write."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.errors import UsageError
from rescli.foreign_text import html_text
from rescli.hardware.threads.cores import usable_cores
from rescli.report.table import short
from rescli.workflows.arguments import check_count, check_name, check_number
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.bench.race import LoopRequest
    from rescli.bench.summary import BenchRecord, Spread
    from rescli.bench.wire import RaceRequest
    from rescli.spec.run import RunSpec

__all__ = ["BenchResult", "bench"]

_NEVER = 10**9
"""Iterations until something that should not fall due within a benchmark."""

_ON_SMALL_IMAGES = ("p1", "p2", "p3", "p4", "bare-step", "whole-loop", "loader")
_ON_PHOTOGRAPHS = ("bare-step", "whole-loop", "loader", "timm")


@dataclass(frozen=True, repr=False)
class BenchResult:
    """What a race of training loops came to.

    Args:
        record: everything, as ``rescli bench`` prints it as JSON.
    """

    record: BenchRecord

    @property
    def images_per_second(self) -> dict[str, Spread]:
        """Contender to the median, the quartiles and the extremes of its rounds."""
        return {name: row["images_per_second"] for name, row in self.record["contenders"].items()}

    def __repr__(self) -> str:
        speeds = self.images_per_second.items()
        return short("Bench, in img/s", [f"{name}: {speed['median']:,.0f}" for name, speed in speeds])

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><td>{html_text(name)}</td><td>{speed['median']:,.0f}</td>"
            f"<td>{speed['q1']:,.0f} .. {speed['q3']:,.0f}</td></tr>"
            for name, speed in self.images_per_second.items()
        )
        head = "<tr><th>contender</th><th>img/s</th><th>quartiles</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"


@with_notes
def bench(
    model: str,
    dataset: str = "cifar10",
    *,
    contenders: str | Sequence[str] = (),
    rounds: int = 9,
    window_seconds: float = 1.0,
    batch_size: int | None = None,
    changes: Mapping[str, object] | None = None,
    device: str = "auto",
    precision: str | None = None,
    engine: str = "auto",
    kernels: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
    workers: Sequence[int] = (),
    threads: int | None = None,
    command: str | None = None,
    progress: Callable[[str, float | None], None] | None = None,
) -> BenchResult:
    """Time the training loop, its parts, and loops that others would write, in one interleaved run.

    Args:
        model: the network, such as ``resnet-20``.
        dataset: the data set.
        contenders: this or these alone, of p1 p2 p3 p4 bare-step whole-loop loader timm; empty: all that fit.
        rounds: how often each is timed, in turn.
        window_seconds: how long each is timed in a round.
        batch_size: images per iteration; None for the preset's.
        changes: keys of the spec and their values, ``{"optimizer.lr": 0.05}``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; None for the preset's.
        engine: what launches the steps of the whole loop.
        kernels: what the whole loop and the bare step compute with between convolutions.
        data_root: where the data lies; None for RESCLI_DATA, else the cache.
        workers: processes of p1's DataLoader, each a contender beside one without; empty for 4 and 16, or
            as many as there are cores.
        threads: threads of the CPU, the same for all; None for as many as there are cores.
        command: what was typed, to be kept with the numbers.
        progress: called with what begins and, from the second round on, the seconds left.

    Returns:
        Speeds and ratios, as medians with quartiles.

    Raises:
        UsageError: an unknown contender, or none that works here.
        DataError: images missing or damaged.

    Example:
        >>> found = bench("resnet-8", "shapes", contenders=["bare-step"], rounds=2, window_seconds=0.1)
        >>> found.images_per_second["bare-step"]["median"] > 0
        True
    """
    check_count("rounds", rounds, least=2)
    check_number("window_seconds", window_seconds, least=0.01)
    check_count("threads", threads, least=1)
    for count in workers:
        check_count("workers", count, least=1)

    from rescli.bench.other_load import OtherLoadWatch
    from rescli.bench.race import race
    from rescli.bench.summary import summarize
    from rescli.runs.assembly import numerics_for
    from rescli.spec.from_names import Choice, choose_spec
    from rescli.training.engines.choose import ENGINES, KERNELS, check_engine, choose_kernels

    check_name("engine", engine, ENGINES)
    check_name("kernels", kernels, KERNELS)
    never = [(key, _NEVER) for key in ("iterations", "evaluation.every", "checkpoint.every")]
    _, spec = choose_spec(
        Choice(
            dataset=dataset,
            model=model,
            batch_size=batch_size,
            precision=precision,
            overrides=[*never, *(changes or {}).items()],
        )
    )
    place = None if data_root is None else Path(data_root)
    spec = spec.resolved(place)
    numerics = numerics_for(spec, device)
    check_engine(engine, numerics)
    if kernels not in ("auto", "plain"):
        choose_kernels(kernels, numerics, engine=engine)
    named = [contenders] if isinstance(contenders, str) else contenders
    entries = _entries(spec, named, numerics.device.type, workers)
    # What is missing or must be downloaded is told once, and not by each contender.
    spec.data.dataset.build(place, ("train",))
    request: RaceRequest = {
        "spec": spec.to_dict(),
        "device": str(numerics.device),
        "precision": numerics.precision,
        "engine": engine,
        "kernels": kernels,
        "data_root": str(place) if place is not None else None,
        "threads": threads,
    }
    watch = OtherLoadWatch()
    lanes = race(
        entries,
        request,
        rounds=rounds,
        window_seconds=window_seconds,
        progress=progress or _unseen,
        watch=watch,
    )
    return BenchResult(
        summarize(lanes, spec, numerics, rounds=rounds, command=command, other_load=watch.result())
    )


def _entries(spec: RunSpec, named: Sequence[str], device: str, workers: Sequence[int]) -> list[LoopRequest]:
    from rescli.bench.race import LoopRequest

    known = _ON_PHOTOGRAPHS if spec.data.dataset.any_size else _ON_SMALL_IMAGES
    # Compiling on a CPU takes minutes: only where it is asked for. Of p4 there is none without a graph.
    unasked = [name for name in known if device == "cuda" or name not in ("p3", "p4")]
    chosen = named or unasked
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(
            f"no contender {unknown[0]!r} on {spec.data.dataset.kind}; there are: {', '.join(known)}."
        )
    cores = usable_cores()
    counts = sorted({0, *(workers or [min(4, cores), min(16, cores)])})
    entries = []
    for name in dict.fromkeys(chosen):
        if name == "p1":
            entries += [LoopRequest(f"p1-w{count}", "p1", count) for count in counts]
        else:
            entries.append(LoopRequest(name, name, None))
    return entries


def _unseen(what: str, seconds_left: float | None) -> None:
    pass
