"""Whether two runs ended alike: weights, momentum, statistics, log and results, to the last bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rescli.errors import CheckpointError
from rescli.files import read_file
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import read_metrics
from rescli.runs.saved_state import SavedState, load_state
from rescli.runs.stored_record import read_record

__all__ = ["Compared", "Difference", "compare_ends"]

_WALL_CLOCK = {"images_per_second", "train_seconds", "waited_seconds", "window_seconds"}
"""What a clock says, which is another at each training."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Compared:
    """One kind of what a run ends with, in both runs.

    Attributes:
        what: in words, ``weights``.
        count: how many tensors, rows or files.
        sha256: of the one and of the other; equal for equal bits only.
    """

    what: str
    count: int
    sha256: tuple[str, str]

    @property
    def equal(self) -> bool:
        return self.sha256[0] == self.sha256[1]


@dataclass(frozen=True)
class Difference:
    """The first thing that is not equal.

    Attributes:
        name: of the tensor, or of the row and its key.
        largest: the largest absolute difference of its values; None where they are no numbers, or where only
            one of the runs has it.
    """

    name: str
    largest: float | None

    def __str__(self) -> str:
        return self.name if self.largest is None else f"{self.name}, by up to {self.largest:.3g}"


def compare_ends(one: RunDir, other: RunDir) -> tuple[tuple[Compared, ...], int, Difference | None]:
    """Compare two runs of one spec that came to their end; what a clock says is left out.

    Returns:
        What was compared, how many tensors that were, and the first difference; None where all is equal.

    Raises:
        CheckpointError: a state, a log or a record is missing or damaged.
    """
    states = [_state_of(run_dir) for run_dir in (one, other)]
    groups = {
        "weights": [{n: t for n, t in s.tensors.items() if _is_weight(n)} for s in states],
        "momentum": [{n: t for n, t in s.tensors.items() if n.startswith("optimizer.")} for s in states],
        "batch-norm statistics": [{n: t for n, t in s.tensors.items() if _is_statistic(n)} for s in states],
        "loss window": [{n: t for n, t in s.tensors.items() if n == "ring"} for s in states],
    }
    compared, differences = [], []
    for what, tensors in groups.items():
        compared.append(_compared(what, [{n: _bits(t) for n, t in each.items()} for each in tensors]))
        differences += list(_tensor_differences(*tensors))
    texts = {
        "step, schedule and best": [_flat("state", _without_clock(dict(s.numbers))) for s in states],
        "rows of metrics": [_rows(run_dir) for run_dir in (one, other)],
        "results": [_flat("results", read_record(run_dir)["results"]) for run_dir in (one, other)],
    }
    for what, values in texts.items():
        compared.append(_compared(what, [{n: repr(v).encode() for n, v in each.items()} for each in values]))
        differences += list(_value_differences(*values))
    files = [_files(run_dir) for run_dir in (one, other)]
    compared.append(_compared("checkpoint files", files))
    differences += [Difference(f"{n}.safetensors", None) for n in _unequal(*files)]
    num_tensors = sum(each.count for each in compared[: len(groups)])
    return tuple(compared), num_tensors, differences[0] if differences else None


def _state_of(run_dir: RunDir) -> SavedState:
    saved = load_state(run_dir.state, run_dir.read_spec())
    if saved is None:
        raise CheckpointError(f"{run_dir.path} saved no state.")
    return saved


def _is_statistic(name: str) -> bool:
    return name.startswith("model.") and name.endswith(_STATISTICS)


def _is_weight(name: str) -> bool:
    return name.startswith("model.") and not _is_statistic(name)


def _bits(tensor: torch.Tensor) -> bytes:
    shape = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
    return shape + tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _compared(what: str, parts: Sequence[Mapping[str, bytes]]) -> Compared:
    first, second = (_digest(part) for part in parts)
    count = len({name.partition(": ")[0] for part in parts for name in part})
    return Compared(what, count, (first, second))


def _digest(parts: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name}\0{len(parts[name])}\0".encode())
        digest.update(parts[name])
    return digest.hexdigest()


def _unequal(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield name


def _tensor_differences(
    one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]
) -> Iterator[Difference]:
    bits = [{name: _bits(tensor) for name, tensor in each.items()} for each in (one, other)]
    for name in _unequal(*bits):
        largest = None
        if name in one and name in other and one[name].shape == other[name].shape and one[name].numel():
            largest = float((one[name].double() - other[name].double()).abs().max())
        yield Difference(name.removeprefix("model."), largest)


def _value_differences(one: Mapping[str, object], other: Mapping[str, object]) -> Iterator[Difference]:
    for name in dict.fromkeys([*one, *other]):
        first, second = one.get(name), other.get(name)
        if repr(first) != repr(second):
            both = isinstance(first, int | float) and isinstance(second, int | float)
            yield Difference(name, abs(float(first) - float(second)) if both else None)  # type: ignore[arg-type]


def _without_clock(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in _WALL_CLOCK}


def _rows(run_dir: RunDir) -> dict[str, object]:
    rows: dict[str, object] = {}
    for row in read_metrics(run_dir.metrics):
        head = f"{row.get('event')} row of iteration {row.get('iteration')}: "
        rows |= {f"{head}{key}": value for key, value in _without_clock(dict(row)).items()}
    return rows


def _flat(name: str, value: object) -> dict[str, object]:
    """``{"results.val.loss": 0.3}`` of nested tables; anything else by its JSON."""
    if not isinstance(value, Mapping):
        return {name: value if isinstance(value, int | float) else json.dumps(value)}
    return {
        inner: found for key, each in value.items() for inner, found in _flat(f"{name}.{key}", each).items()
    }


def _files(run_dir: RunDir) -> dict[str, bytes]:
    paths: tuple[Path, ...] = (run_dir.last, run_dir.best)
    return {path.stem: hashlib.sha256(read_file(path)).digest() for path in paths if path.is_file()}
