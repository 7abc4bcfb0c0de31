"""Small files that say they are huge, or are made of a great many of nothing: refused at once, by name."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Rescli = Callable[..., Any]

OURS = {"model": '{"kind": "resnet", "depth": 20}', "format_version": "1"}
NOTHING = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
HUGE = {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 0]}


def put(path: Path, header: object) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"__metadata__": OURS, **{f"layer{n}.weight": NOTHING for n in range(60_000)}}, "50,000 tensors"),
        ({"__metadata__": {**OURS, **{str(n): "" for n in range(400_000)}}}, "300,000 keys"),
        (b"{" + b" " * 40_000_000 + b"}", "not a whole safetensors file"),
        (b'{"a":' + b"[" * 5_000_000, "nested too deep"),
        ({"__metadata__": OURS, "a": HUGE}, "not what its shape takes"),
        (
            {"__metadata__": {**OURS, "results": "[" * 90 + "]" * 90}},
            "results is no JSON: it is nested",
        ),
    ],
)
def test_a_checkpoint_that_no_net_has_is_refused_at_once(
    rescli: Rescli, tmp_path: Path, header: object, says: str
) -> None:
    path = put(tmp_path / "a.safetensors", header)
    for command in (("show", path), ("eval", path, "--dataset", "shapes")):
        began = time.process_time()
        answer = rescli(*command)
        assert time.process_time() - began < 5
        assert answer.code == 4, answer.err
        assert says in answer.err
    command = ("import", path, "--model", "resnet-20", "--dataset", "shapes", "--out", tmp_path / "b")
    answer = rescli(*command)
    assert answer.code in (2, 4), answer.err
    assert not (tmp_path / "b").exists()


def test_an_archive_that_grows_or_has_no_end_of_members_is_refused(rescli: Rescli, tmp_path: Path) -> None:
    plain = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, plain)
    with zipfile.ZipFile(plain) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    folder = next(iter(members)).partition("/")[0]
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
        with made.open(f"{folder}/data/7", "w") as member:
            for _ in range(100):
                member.write(bytes(1 << 20))
    answer = rescli(
        *("import", tmp_path / "bomb.pth", "--model", "resnet-20", "--dataset", "shapes"),
        *("--out", tmp_path / "b.safetensors"),
    )
    assert answer.code == 4
    assert "bomb.pth is a zip archive that is truncated, damaged, or not PyTorch's" in answer.err


def test_a_byte_flipped_in_an_archive_of_torch_is_seen(rescli: Rescli, tmp_path: Path) -> None:
    path, whole = tmp_path / "a.pth", io.BytesIO()
    torch.save({"fc.weight": torch.arange(400.0).view(10, 40)}, whole)
    content = whole.getvalue()
    weights = content.index(torch.arange(400.0).numpy().tobytes())
    for place in range(weights, weights + 1600, 173):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        answer = rescli(
            *("import", path, "--model", "resnet-20", "--dataset", "shapes"),
            *("--out", tmp_path / "b.safetensors"),
        )
        assert answer.code == 4
        assert "truncated, damaged" in answer.err
