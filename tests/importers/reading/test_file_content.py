"""How a file of weights is read: once, and only as far as it is one file's weights."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import pytest
import torch

from rescli.errors import CheckpointError
from rescli.importers.reading.file_content import read_content
from rescli.importers.reading.weights_file import read_weights

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_a_file_is_read_once_however_many_classes_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool
) -> None:
    classes = [type(f"Option{number}", (), {"__module__": "argparse"}) for number in range(20)]
    for one in classes:
        monkeypatch.setattr(argparse, one.__name__, one, raising=False)
    content = {"model": STATE, "options": [one() for one in reversed(classes)]}
    torch.save(content, tmp_path / "net", _use_new_zipfile_serialization=as_zip)
    load, loads = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *given, **named: loads.append(1) or load(*given, **named))
    found = read_content(tmp_path / "net")
    assert len(loads) == 1
    assert found.objects == tuple(f"argparse.Option{number}" for number in reversed(range(20)))
    assert read_weights(tmp_path / "net").tensors["a"].equal(STATE["a"])


def test_tensors_in_parts_are_not_weights(tmp_path: Path) -> None:
    """A class by that name is enough: the parts of its tensors are elsewhere."""
    torch.save({"a": torch.zeros(2)}, tmp_path / "whole.pth")
    named = b"\x80\x02ctorch.distributed.tensor\nDTensor\n)\x81."
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(tmp_path / "net", "w") as made:
        for member in whole.namelist():
            made.writestr(member, named if member.endswith("data.pkl") else whole.read(member))
    with pytest.raises(CheckpointError, match="in parts") as caught:
        read_weights(tmp_path / "net")
    assert "full_state_dict" in str(caught.value.hint)
