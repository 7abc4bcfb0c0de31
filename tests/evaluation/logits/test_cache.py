import os
from dataclasses import replace

import pytest
import torch

from rescli.evaluation.logits.cache import CacheKey, LogitsCache, code_sha256, versions

KEY = CacheKey(
    checkpoint_sha256="a",
    data_sha256="b",
    views={"pad": 4},
    precision="fp32",
    device_type="cpu",
    versions={"torch": "2.15"},
    code_sha256="d",
)
NOTES = {"device": "cpu", "inference_seconds": 0.5}
LOGITS = torch.randn(4, 2, 3)


@pytest.fixture
def cache(tmp_path):
    return LogitsCache(tmp_path / "logits")


def test_what_was_kept_comes_back_bit_for_bit(cache):
    assert cache.get(KEY, (4, 2, 3)) is None
    cache.put(KEY, LOGITS, NOTES)
    logits, notes = cache.get(KEY, (4, 2, 3))
    assert torch.equal(logits, LOGITS)
    assert notes == NOTES


@pytest.mark.parametrize(
    "change",
    [
        {"checkpoint_sha256": "c"},
        {"data_sha256": "c"},
        {"views": {"pad": 0}},
        {"precision": "bf16"},
        {"device_type": "cuda"},
        {"versions": {"torch": "2.16"}},
        {"code_sha256": "e"},
        {"format": 99},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_of_the_key_matters(cache, change):
    cache.put(KEY, LOGITS, NOTES)
    assert cache.get(replace(KEY, **change), (4, 2, 3)) is None


@pytest.mark.parametrize(
    "damage", ["truncated", "empty", "other shape", "no notes", "flipped bit", "other notes"]
)
def test_a_damaged_entry_counts_as_none_and_is_replaced(cache, damage):
    cache.put(KEY, LOGITS, NOTES)
    (path,) = cache.directory.iterdir()
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped bit":
        data = bytearray(path.read_bytes())
        data[-1] ^= 128  # the sign of the last logit
        path.write_bytes(data)
    elif damage == "other notes":
        path.write_bytes(path.read_bytes().replace(b"cpu", b"mps"))
    elif damage == "no notes":
        from safetensors.torch import save_file

        save_file({"logits": LOGITS}, path)
    shape = (5, 2, 3) if damage == "other shape" else (4, 2, 3)
    assert cache.get(KEY, shape) is None
    cache.put(KEY, LOGITS, NOTES)
    assert cache.get(KEY, (4, 2, 3)) is not None


def test_a_pipe_in_the_place_of_an_entry_counts_as_none(cache):
    cache.put(KEY, LOGITS, NOTES)
    (path,) = cache.directory.iterdir()
    path.unlink()
    os.mkfifo(path)
    assert cache.get(KEY, (4, 2, 3)) is None


def test_the_entry_longest_unused_goes_first(cache):
    keys = [replace(KEY, checkpoint_sha256=str(k)) for k in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.put(key, LOGITS, NOTES)
        (path,) = cache.directory.glob(f"{key.digest}*")
        os.utime(path, (age, age))
    size = path.stat().st_size
    assert cache.get(keys[0], (4, 2, 3)) is not None  # used just now
    LogitsCache(cache.directory, max_bytes=3 * size).put(keys[3], LOGITS, NOTES)
    kept = [key.checkpoint_sha256 for key in keys if cache.get(key, (4, 2, 3)) is not None]
    assert kept == ["0", "2", "3"]


def test_what_is_larger_than_the_whole_cache_is_not_kept_and_drops_nothing(cache):
    cache.put(KEY, LOGITS, NOTES)
    LogitsCache(cache.directory, max_bytes=200).put(
        replace(KEY, code_sha256="x"), torch.zeros(99, 9, 9), NOTES
    )
    assert cache.get(KEY, (4, 2, 3)) is not None


def test_an_entry_that_cannot_be_touched_is_used(cache, monkeypatch):
    cache.put(KEY, LOGITS, NOTES)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    assert cache.get(KEY, (4, 2, 3)) is not None


def test_what_a_killed_process_left_goes_after_a_day(cache):
    cache.put(KEY, LOGITS, NOTES)
    old, new = cache.directory / ".a.safetensors.1.tmp", cache.directory / ".b.safetensors.2.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.put(replace(KEY, code_sha256="x"), LOGITS, NOTES)
    assert (old.exists(), new.exists()) == (False, True)


def test_without_a_home_there_is_no_cache_and_a_warning(monkeypatch, caplog):
    def homeless():
        raise RuntimeError("Could not determine home directory")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    assert LogitsCache.of_user() is None
    assert "no logits are kept" in caplog.text


def test_the_code_is_that_of_the_nets_modules(tmp_path, monkeypatch):
    source = "from torch import nn\nclass Net(nn.Module):\n    pass\n"
    (tmp_path / "a_net_of_mine.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    module = importlib.import_module("a_net_of_mine")
    before = code_sha256(module.Net())
    assert code_sha256(module.Net()) == before
    (tmp_path / "a_net_of_mine.py").write_text(source + "# another\n")
    assert code_sha256(module.Net()) != before


def test_versions_name_the_decoder_where_something_is_decoded():
    assert set(versions(decoding=False)) == {"rescli", "torch"}
    assert set(versions(decoding=True)) == {"rescli", "torch", "pillow", "libjpeg_turbo"}


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    LogitsCache(tmp_path / "file" / "logits").put(KEY, LOGITS, NOTES)
    assert "not kept for the next time" in caplog.text
