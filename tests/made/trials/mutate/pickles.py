"""Files of torch.save, zip and legacy, with other pickles in them: damaged, crafted, and such that call."""

from __future__ import annotations

import io
import pickletools
import random
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from trials.mutate.damage import damaged, flipped

__all__ = ["changed_legacy", "changed_zip", "saved"]


def saved(state: Mapping[str, Any], *, as_zip: bool) -> bytes:
    """What torch.save writes."""
    written = io.BytesIO()
    torch.save(dict(state), written, _use_new_zipfile_serialization=as_zip)
    return written.getvalue()


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _calls(command: str) -> list[bytes]:
    """Pieces of a pickle that run ``command`` where somebody lets them, each leaves one object."""
    told, code = _text(command), _text(f"__import__('os').system({command!r})")
    return [
        b"cos\nsystem\n(" + told + b"tR",
        b"cposix\nsystem\n(" + told + b"tR",
        _text("os") + _text("system") + b"\x93(" + told + b"tR",
        b"(" + told + b"ios\nsystem\n",
        b"(cos\nsystem\n" + told + b"o",
        b"cbuiltins\nexec\n(" + code + b"tR",
        b"cbuiltins\neval\n(" + code + b"tR",
        b"csubprocess\nPopen\n((" + _text("sh") + _text("-c") + told + b"ltR",
        b"cbuiltins\ngetattr\n(cos\nsystem\n" + _text("__call__") + b"tR(" + told + b"tR",
        b"crunpy\n_run_code\n(" + code + b"}tR",
        b"ctorch.hub\nload\n(" + _text("/nowhere") + _text("x") + b"tR",
        b"ctorch.serialization\nload\n(" + _text("/dev/zero") + b"tR",
        b"cnumpy.testing._private.utils\nrunstring\n(" + code + b"}tR",
        b"ctorch.utils._config_module\nos.system\n(" + told + b"tR",
        b"cbuiltins\n__import__\n(" + _text("antigravity") + b"tR",
        b"ctorch\nos.system\n(" + told + b"tR",
        _text("torch.nn") + _text("Module.__init__.__globals__") + b"\x93",
        b"c_codecs\nencode\n(" + told + _text("latin1") + b"tR",
        b"cos\nsystem\n)\x81",
    ]


_STRANGE = (
    b"]" + b"(l" * 3000 + b"a" * 3000,  # deep lists
    b"(" * 2000 + b"t" * 2000,
    b"(lq\x00" + b"h\x00a" * 50,  # a list in itself
    b"\x8b\xff\xff\xff\x7f",  # a number of 2 GB that are not there
    b"X\xff\xff\xff\xff",  # a text of 4 GB that is not there
    b"\x8d" + b"\xff" * 8,
    b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"\x96" + b"\xff" * 7 + b"\x7f",  # a bytearray
    b"Nr\xff\xff\xff\x0f",  # memo 268 million
    b"j\xff\xff\xff\x7f",
    b"L" + b"9" * 5000 + b"L\n",
    b"G" + struct.pack(">d", float("nan")),
    b"(lp0\n" + b"(h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00lp0\n" * 12,  # 8^12 when it is written out
    b"ctorch\nfloat32\n",
    b"N",
    b"K\x01",
    b"}(K\x01K\x02u",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02tcnumpy\ndtype\n(U\x02O8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89(lN"
    + b"aNatb",
    b"cnumpy\nndarray\n((J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftU\x01btR",
    b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR",
    b"cbuiltins\nrange\n(J\xff\xff\xff\x7ftR",
    b"ctorch\nSize\n((J\xff\xff\xff\x7ftltR",
    b"",
    b"0000",
    b".",
)


def _changed_pickle(dice: random.Random, data: bytes, command: str) -> tuple[bytes, str]:
    """A piece beside what is there, or one operation with another argument."""
    ops = [(op, arg, at) for op, arg, at in pickletools.genops(data)]
    way = dice.randrange(8)
    if way < 3:
        pieces = _calls(command)
        number = dice.randrange(len(pieces))
        if dice.random() < 0.5:  # the whole content
            return b"\x80\x02" + pieces[number] + b".", f"call {number} as the whole content"
        at = dice.choice([at for op, _, at in ops if op.name in ("BINUNICODE", "MARK", "EMPTY_DICT", "STOP")])
        return data[:at] + pieces[number] + b"0" + data[at:], f"call {number} at {at}"
    if way == 3:
        number = dice.randrange(len(_STRANGE))
        if dice.random() < 0.5:
            key = _text("more")
            return b"\x80\x02}(" + key + _STRANGE[number] + b"u.", f"strange piece {number} as a value"
        at = dice.choice([at for _, _, at in ops])
        return data[:at] + _STRANGE[number] + data[at:], f"strange piece {number} at {at}"
    if way == 4:
        return damaged(dice, data)
    if not ops[:-1]:
        return damaged(dice, data)
    numbers = [k for k, (_, arg, _) in enumerate(ops[:-1]) if isinstance(arg, int | str)]
    number = dice.choice(numbers) if numbers and way > 5 else dice.randrange(len(ops) - 1)
    op, arg, at = ops[number]
    end = ops[number + 1][2]
    if isinstance(arg, bool) or arg is None:
        new = dice.choice((b"", b"N", b"0", data[at:end] * 2))
    elif isinstance(arg, int):
        value = dice.choice((0, -1, 1, 2**31 - 1, 2**62, 10**30, arg + 1, -arg))
        new = b"I%d\n" % value
    else:
        value = dice.choice(
            ("", "\x1b[31m", "x" * 100_000, f"{arg}.", "../../x", "\ud800", "cuda:99999", "-1", "\0")
        )
        new = _text(value)
    return data[:at] + new + data[end:], f"{op.name} {str(arg)[:30]!r} at {at} is {new[:30]!r}"


def changed_zip(dice: random.Random, data: bytes, command: str) -> tuple[bytes, str, bool]:
    """A zip of torch.save; the last says that its weights must not pass for sound."""
    way = dice.randrange(10)
    if way < 2:
        return *dice.choice((flipped, damaged))(dice, data), True
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = sorted(members)
    pickled = next(name for name in names if name.endswith("data.pkl"))
    if way < 7:
        members[pickled], what = _changed_pickle(dice, members[pickled], command)
        return _zipped(members), f"pickle: {what}", False
    name = dice.choice(names)
    if way == 7:
        del members[name]
        return _zipped(members), f"{name} is gone", False
    if way == 8:
        value = dice.choice(
            (b"", b"\xff" * 10, bytes(100_000), b"big", members[name][:-1], members[name] * 2)
        )
        members[name] = value
        return _zipped(members), f"{name} has {len(value)} bytes", False
    odd = dice.choice(("twice", "compressed", "a bomb", "renamed", "another folder", "10,000 members"))
    if odd == "twice":
        return _zipped(members, twice=name), f"{name} twice", False
    if odd == "a bomb":
        members[name] = bytes(400_000_000)
    elif odd == "renamed":
        members[dice.choice(("../../canary", "/canary", "x" * 300, "\x1b[31m"))] = members.pop(name)
    elif odd == "another folder":
        members = {f"b/{one}" if one == name else one: content for one, content in members.items()}
    elif odd == "10,000 members":
        members |= {f"more/{number}": b"" for number in range(10_000)}
    compression = zipfile.ZIP_STORED if odd in ("renamed", "another folder") else zipfile.ZIP_DEFLATED
    return _zipped(members, compression=compression), f"{name}: {odd}", False


def _zipped(
    members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED, twice: str | None = None
) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
        if twice is not None:
            with warnings.catch_warnings(action="ignore"):
                archive.writestr(zipfile.ZipInfo(twice), members[twice][::-1], compression)
    return written.getvalue()


def changed_legacy(dice: random.Random, data: bytes, command: str) -> tuple[bytes, str]:
    """A file of torch.save before it wrote zips: five pickles, one after the other, then the numbers."""
    way = dice.randrange(6)
    if way == 0:
        return damaged(dice, data)
    file, places = io.BytesIO(data), [0]
    for _ in range(5):
        for _ in pickletools.genops(file):
            pass
        places.append(file.tell())
    number = 3 if way > 2 else dice.randrange(5)
    begin, end = places[number], places[number + 1]
    changed, what = _changed_pickle(dice, data[begin:end], command)
    return data[:begin] + changed + data[end:], f"pickle {number + 1} of 5: {what}"
