"""safetensors files taken apart, changed and put together again, signed or not."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any, Self

from rescli.checkpoints.header import CONTENT_KEY
from trials.mutate.values import Changed, Raw, change, dumps, odd_text

__all__ = ["Weights"]

_DTYPES = (
    "F32",
    "F64",
    "F16",
    "BF16",
    "I64",
    "I32",
    "U8",
    "BOOL",
    "F8_E4M3",
    "F4",
    "C64",
    "X",
    "",
    1,
    None,
    [],
)
_SIDES = (-1, 0, 1, 2**31, 2**62, 2**63, 2**64, 0.5, "3", None, [3], True, Raw("1e400"), Raw("9" * 5000))


@dataclass
class Weights:
    """A file's parts: texts of its metadata, entries of its tensors, their bytes."""

    metadata: dict[str, Any]
    entries: dict[str, Any]
    stored: bytes

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Of a sound file."""
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        return cls(metadata, header, data[8 + length :])

    def write(self, *, signed: bool = True) -> bytes:
        """The file; signed, its ``content_sha256`` holds, as far as one can be computed."""
        metadata = dict(self.metadata)
        if signed and CONTENT_KEY in metadata:
            metadata[CONTENT_KEY] = json.dumps(self._digest())
        text = dumps({"__metadata__": metadata, **self.entries})
        return self.framed(text + b" " * (-len(text) % 8))

    def framed(self, text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + self.stored

    def _digest(self) -> str:
        """As the format's description has it, written anew: rescli's may be wrong."""
        metadata = {key: value for key, value in self.metadata.items() if key != CONTENT_KEY}
        names = sorted(self.entries)
        try:
            listed = [[name, self.entries[name]["dtype"], self.entries[name]["shape"]] for name in names]
            text = json.dumps([metadata, json.loads(dumps(listed))], separators=(",", ":"), sort_keys=True)
            digest = hashlib.sha256(text.encode())
            for name in names:
                begin, end = self.entries[name]["data_offsets"]
                digest.update(self.stored[begin:end])
        except (TypeError, ValueError, KeyError, RecursionError):
            return "0" * 64
        return digest.hexdigest()

    def change_metadata(self, dice: random.Random, keys: list[str] | None = None) -> Changed:
        """One value somewhere in the metadata, each of whose texts is JSON; returns what of which key."""
        key = dice.choice(sorted(set(keys or self.metadata) - {CONTENT_KEY, "format"}))
        way = dice.randrange(16)
        if way == 0:
            del self.metadata[key]
            return Changed(b"", f"metadata {key} is gone", (key,))
        if way == 1:
            self.metadata[key] = dice.choice(
                (1, None, [], {}, True, Raw("1e400"), json.loads(self.metadata[key]))
            )
            return Changed(b"", f"metadata {key} is no text: {str(self.metadata[key])[:40]}", (key,))
        if way == 2:
            new = odd_text(dice)
            self.metadata[new] = self.metadata.pop(key)
            return Changed(b"", f"metadata {key} is called {new[:40]!r}", (key,))
        changed = change(dice, json.loads(self.metadata[key]))
        self.metadata[key] = changed.text.decode("utf-8", "replace")
        return Changed(b"", f"metadata {key}: {changed.what}", (key, *changed.path), changed.same_type)

    def change_tensors(self, dice: random.Random) -> str:
        """One thing about the tensors' types, shapes and places."""
        name = dice.choice(sorted(self.entries))
        entry = self.entries[name] = dict(self.entries[name])
        begin, end = entry["data_offsets"]
        way = dice.randrange(16)
        if way == 0:
            entry["dtype"] = dice.choice(_DTYPES)
        elif way == 1 and entry["shape"]:
            shape = list(entry["shape"])
            shape[dice.randrange(len(shape))] = dice.choice(_SIDES)
            entry["shape"] = shape
        elif way == 2:
            entry["shape"] = dice.choice(
                (
                    [],
                    [0],
                    [2**32, 2**32],
                    None,
                    3,
                    "3",
                    {},
                    [*entry["shape"], 1],
                    [1] * 10_000,
                    entry["shape"][::-1],
                )
            )
        elif way == 3:
            entry["data_offsets"] = dice.choice(
                (
                    [end, begin],
                    [begin],
                    [],
                    None,
                    [begin, end, end],
                    [-4, end],
                    [begin, end + 4],
                    [begin + 4, end],
                )
            )
        elif way == 4:
            entry["data_offsets"] = dice.choice(
                (
                    [begin, 2**63],
                    [2**64, 2**64 + 4],
                    [0.0, 4.0],
                    ["0", "4"],
                    [begin, len(self.stored) + 1],
                    [0, 0],
                )
            )
        elif way == 5:  # over another
            other = dice.choice(sorted(self.entries))
            entry["data_offsets"] = self.entries[other]["data_offsets"]
        elif way == 6:  # a gap before it
            self.stored = self.stored[:begin] + bytes(8) + self.stored[begin:]
            for one in self.entries.values():
                if one["data_offsets"][0] >= begin:
                    one["data_offsets"] = [place + 8 for place in one["data_offsets"]]
        elif way == 7:
            self._take_out(name)
        elif way == 8:
            self.entries[odd_text(dice)] = self.entries.pop(name)
        elif way == 9:
            key = dice.choice(("dtype", "shape", "data_offsets"))
            del entry[key]
            return f"tensor {name}: {key} is gone"
        elif way == 10:
            entry["more"] = 1
        elif way == 11:
            self.entries[name] = dice.choice((None, 1, [], "x", {}))
        elif way == 12:
            count = dice.choice((1000, 20_000))
            self.entries |= {
                f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [len(self.stored)] * 2}
                for number in range(count)
            }
            return f"{count} empty tensors more"
        elif way == 13:
            value = dice.choice(
                (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f")
            )  # NaN, infinity, the largest
            self.stored = self.stored[:begin] + (value * (end - begin))[: end - begin] + self.stored[end:]
            return f"tensor {name} is full of {value.hex()}"
        elif way == 14:
            self.stored, where = self.stored + bytes(8), len(self.stored)
            return f"8 bytes more at {where} that belong to no tensor"
        else:
            order = list(self.entries.items())
            dice.shuffle(order)
            self.entries = dict(order)
            return "the tensors listed in another order"
        left = (
            {key: str(value)[:60] for key, value in (self.entries.get(name) or {}).items()}
            if isinstance(self.entries.get(name), dict)
            else self.entries.get(name, "gone")
        )
        return f"tensor {name} ({way}): {left}"

    def _take_out(self, name: str) -> None:
        begin, end = self.entries.pop(name)["data_offsets"]
        self.stored = self.stored[:begin] + self.stored[end:]
        for one in self.entries.values():
            if one["data_offsets"][0] >= end:
                one["data_offsets"] = [place - (end - begin) for place in one["data_offsets"]]

    def change_frame(self, dice: random.Random) -> tuple[bytes, str]:
        """The length before the header, or the header's JSON as a text."""
        sound = self.write()
        length = int.from_bytes(sound[:8], "little")
        if dice.random() < 0.5:
            new = dice.choice(
                (0, 1, 2, length - 1, length + 1, length * 2, len(sound), 10**8, 10**8 + 1, 2**63, 2**64 - 1)
            )
            return new.to_bytes(8, "little") + sound[8:], f"the header's length is {new}, not {length}"
        changed = change(dice, json.loads(sound[8 : 8 + length]))
        return self.framed(changed.text), f"header: {changed.what}"
