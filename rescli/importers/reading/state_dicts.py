"""The state dicts in a file, wherever training programs put them among what else they save."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from rescli.foreign_text import readable
from rescli.importers.reading.stored_arrays import StoredArray

__all__ = ["StateDict", "is_averaged", "state_dicts"]

_TRAINING_STATE = re.compile(r"optimi[sz]er|(?:^|_)optim(?:$|_)|sched|scaler|^loops$", re.IGNORECASE)
"""Keys under which tensors lie that are of the shape of weights, and none."""

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What torch.compile, FSDP and activation checkpointing put into names, at any place."""

_AVERAGED = re.compile(
    r"(?:^|[._])(?:ema|swa|avg|averaged?|n_averaged|shadow|teacher|target|momentum|encoder_k|key)(?=$|[._\d])"
    r"|moving_average",
    re.IGNORECASE,
)

_MOST_DEPTH, _MOST_ITEMS = 8, 16

_MOST_ELEMENTS = 2**28


@dataclass(frozen=True, eq=False)
class StateDict:
    """Tensors that lie together in one dict of a file.

    Args:
        keys: under which the dict lies; none for the outermost one.
        tensors: by their names, dense, on the CPU. What no terminal can show is escaped in all names here.
        others: names and types of its entries that are neither tensors nor dicts.
        odd: the same of tensors that nobody can take: sparse, quantized, without values, without a
            name, or of more elements than are stored.
    """

    keys: tuple[str, ...]
    tensors: dict[str, torch.Tensor]
    others: tuple[str, ...]
    odd: tuple[str, ...] = ()


def state_dicts(value: object) -> list[StateDict]:
    """Every dict with named tensors in it, outermost first; not in the state of optimizers and the like."""
    return list(_found(value, (), set()))


def is_averaged(name: str) -> bool:
    """Whether a name says that the weights under it are an average of others, or follow them.

    Example:
        >>> is_averaged("state_dict_ema"), is_averaged("model.module"), is_averaged("swa_model")
        (True, False, True)
    """
    return _AVERAGED.search(name) is not None


def _found(value: object, keys: tuple[str, ...], seen: set[int]) -> Iterator[StateDict]:
    if id(value) in seen or len(keys) > _MOST_DEPTH:  # a pickled dict may contain itself
        return
    seen.add(id(value))
    if isinstance(value, list | tuple) and len(value) <= _MOST_ITEMS:
        value = {str(place): one for place, one in enumerate(value) if isinstance(one, Mapping)}
    if not isinstance(value, Mapping):
        return
    tensors: dict[str, torch.Tensor] = {}
    others: list[str] = []
    odd: list[str] = []
    inner: list[tuple[str, object]] = []
    for given, entry in value.items():
        tensor, key = _plain(given, entry), readable(str(given))
        if tensor is not None:
            tensors[key] = tensor
        elif isinstance(entry, Mapping) or _holds_dicts(entry):
            inner.append((key, entry))
        else:
            of = odd if isinstance(entry, torch.Tensor) else others
            of.append(f"{key} ({_what_is(entry)})")
    if tensors:
        yield StateDict(keys, _without_wrappers(tensors), tuple(others), tuple(odd))
    for key, entry in inner:
        if not _TRAINING_STATE.search(key):
            yield from _found(entry, (*keys, key), seen)


def _what_is(entry: object) -> str:
    quantized = isinstance(entry, torch.Tensor) and entry.is_quantized
    return "quantized" if quantized else type(entry).__name__


def _holds_dicts(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) <= _MOST_ITEMS
        and any(isinstance(one, Mapping) for one in entry)
    )


def _plain(name: object, entry: object) -> torch.Tensor | None:
    """A named dense tensor with values, not a sparse, quantized or meta one; else None."""
    if isinstance(entry, StoredArray) and entry.numbers is not None:
        numbers = entry.numbers
        entry = torch.from_numpy(np.array(numbers, numbers.dtype.newbyteorder("="), order="C"))
    if (
        isinstance(name, str)
        and isinstance(entry, torch.Tensor)
        and entry.layout == torch.strided
        and not entry.is_quantized
        and entry.device.type == "cpu"
        and not _is_blown_up(entry)
    ):
        return entry.detach()
    return None


def _is_blown_up(tensor: torch.Tensor) -> bool:
    """Whether a few stored numbers stand for more than any net has: strides of 0 allow any shape."""
    return tensor.numel() > _MOST_ELEMENTS and tensor.nbytes > tensor.untyped_storage().nbytes()


def _without_wrappers(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the parts of names that are no modules of the net, unless two names would become one."""
    renamed = {
        ".".join(part for part in name.split(".") if part not in _WRAPPERS): tensor
        for name, tensor in tensors.items()
    }
    return renamed if len(renamed) == len(tensors) else tensors
