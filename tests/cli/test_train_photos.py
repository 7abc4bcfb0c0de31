"""``rescli train`` on a folder of photographs: from scratch, resumed, and with weights of another run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint

Rescli = Callable[..., Any]


def write_photos(root: Path, count: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        folder = root / f"class{number % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 64), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_photos(tmp_path / "photos" / "train", 18, 3, 0)
    write_photos(tmp_path / "photos" / "val", 6, 3, 1)
    return tmp_path / "photos"


def flags(root: Path) -> list[object]:
    return [
        *("--dataset", "imagefolder", "--data-root", root, "--depth", 18, "--set", "model.width=4"),
        *("--iterations", 5, "--batch-size", 4, "--device", "cpu", "--set", "evaluation.every=2"),
        *("--set", "checkpoint.every=2", "--set", "metrics.every=1"),
    ]


def tensors(run: Path) -> dict[str, Any]:
    return Checkpoint.read(run / "checkpoints" / "last.safetensors").tensors


def test_from_scratch(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    answer = rescli("train", *flags(photos), "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    record = answer.json
    assert record["data"]["num_images"] == {"train": 18, "val": 6}
    assert record["results"]["val"]["protocol"] == "center224"
    assert record["waited_for_data_seconds"] > 0
    assert record["skipped_images"] == []
    assert "training waited for images" in answer.err
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    waited = [row["waited_seconds"] for row in rows if row["event"] == "train"]
    assert sum(waited) == pytest.approx(record["waited_for_data_seconds"], abs=0.001)
    checkpoint = Checkpoint.read(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert checkpoint.class_names == ("class0", "class1", "class2")
    for protocol in ("center224", "ten-crop", "multi-scale"):
        run = ("eval", tmp_path / "run/checkpoints/last.safetensors", "--data-root", photos, "--json")
        (row,) = rescli(*run, "--protocol", protocol).json["results"]
        assert (row["split"], row["num_images"]) == ("val", 6)
        if protocol == "center224":
            assert row["top1_error"] == record["results"]["val"]["top1_error"]


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_with_other_workers_it_ends_with_the_same_bits(
    rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    assert rescli("train", *flags(photos), "--out", tmp_path / "whole").code == 0
    from rescli.cli.signals import StopFlag

    asked = iter([False, False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(StopFlag, "__call__", lambda _: next(asked, True))
        assert rescli("train", *flags(photos), "--out", tmp_path / "run").code == 130
    answer = rescli("train", "--resume", tmp_path / "run", "--workers", workers)
    assert answer.code == 0, answer.err
    whole, resumed = tensors(tmp_path / "whole"), tensors(tmp_path / "run")
    assert all(whole[name].equal(resumed[name]) for name in whole)


@pytest.mark.usefixtures("photos")
def test_sigterm_to_the_whole_process_group_saves_the_state(
    start_rescli: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """As ``timeout``, systemd and Slurm send it: the workers have it too."""
    run, log = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    late = ("--iterations", 4000, "--set", "checkpoint.every=4000", "--set", "evaluation.every=4000")
    settings = (*flags(Path("photos")), *late, "--workers", 2, "--out", run)
    begun = start_rescli("train", *settings, cwd=tmp_path)
    while not log.exists() or not log.stat().st_size:
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.005)
    os.killpg(begun.pid, signal.SIGTERM)
    _, err = begun.communicate(timeout=60)
    assert begun.returncode == 130, err
    assert err.count("SIGTERM: stopping as soon as the state is saved") == 1
    assert "Traceback" not in err
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "interrupted"
    assert record["last_saved_iteration"] == record["iterations_done"] > 0


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("elsewhere", [None, "shadow"])
def test_killed_before_its_first_state_it_looks_where_it_was_told_to(
    start_rescli: Callable[..., subprocess.Popen[str]],
    rescli: Rescli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: str | None,
) -> None:
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    run, log = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    late = ("--iterations", 12, "--set", "checkpoint.every=12", "--set", "evaluation.every=12")
    begun = start_rescli("train", *flags(Path("photos")), *late, "--out", run, cwd=tmp_path)
    while not log.exists() or not log.stat().st_size:
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.005)
    begun.kill()
    begun.communicate()
    assert not (run / "state" / "latest.json").exists()
    before = json.loads((run / "record.json").read_text())
    if elsewhere is not None:  # other photographs of the same classes
        write_photos(tmp_path / "shadow" / "train", 18, 3, 5)
        write_photos(tmp_path / "shadow" / "val", 6, 3, 6)
        monkeypatch.setenv("RESCLI_DATA", str(tmp_path / "shadow"))
    answer = rescli("train", "--resume", run, "--device", "cpu", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["data"] == before["data"]


def test_what_was_waited_for_and_left_out_before_a_stop_still_counts(
    rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rescli("train", *flags(photos), "--out", tmp_path / "whole").code == 0
    normal = tmp_path / "whole/checkpoints/last.safetensors"
    for path in (photos / "train/class1").iterdir():
        path.write_bytes(b"no image")
    from rescli.cli.signals import StopFlag

    asked = iter([False, False, False, True])
    run = ("--from", normal, "--skip-damaged", "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(StopFlag, "__call__", lambda _: next(asked, True))
        assert rescli("train", *flags(photos), *run).code == 130
    before = json.loads((tmp_path / "run/record.json").read_text())
    assert before["skipped_images"]
    # Mended meanwhile would be other images: that a resume refuses. So it ends where it stands.
    monkeypatch.setattr(StopFlag, "__call__", lambda _: True)
    assert rescli("train", "--resume", tmp_path / "run").code == 130
    after = json.loads((tmp_path / "run/record.json").read_text())
    assert after["skipped_images"] == before["skipped_images"]
    assert after["waited_for_data_seconds"] == before["waited_for_data_seconds"]
    assert after["train_seconds"] == pytest.approx(before["train_seconds"], abs=0.5)


def test_a_folder_without_val_has_some_held_out(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    answer = rescli(
        "train",
        *flags(photos / "train"),
        "--set",
        "data.dataset.val_size=5",
        "--out",
        tmp_path / "a",
        "--json",
    )
    assert answer.code == 0, answer.err
    assert answer.json["data"]["num_images"] == {"train": 13, "val": 5}
    ckpt = tmp_path / "a/checkpoints/last.safetensors"
    (row,) = rescli("eval", ckpt, "--data-root", photos / "train", "--json").json["results"]
    assert (row["split"], row["num_images"]) == ("val", 5)
    assert row["top1_error"] == answer.json["results"]["val"]["top1_error"]
    (row,) = rescli("eval", ckpt, "--split", "train", "--data-root", photos / "train", "--json").json[
        "results"
    ]
    assert row["num_images"] == 13


def test_weights_of_another_run_and_a_new_head(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    assert rescli("train", *flags(photos), "--out", tmp_path / "first").code == 0
    first = tmp_path / "first/checkpoints/last.safetensors"
    write_photos(tmp_path / "own", 12, 2, 5)
    answer = rescli(
        *("train", "imagefolder/finetune", "--from", first, "--data-root", tmp_path / "own"),
        *("--iterations", 1, "--batch-size", 4, "--device", "cpu", "--set", "optimizer.lr=1e-9"),
        *("--out", tmp_path / "second"),
    )
    assert answer.code == 0, answer.err
    second = Checkpoint.read(tmp_path / "second/checkpoints/last.safetensors")
    begun = Checkpoint.read(first)
    assert second.model == begun.model
    assert second.normalization.to_json() == begun.normalization.to_json()
    assert second.tensors["layer3.0.conv1.weight"].allclose(begun.tensors["layer3.0.conv1.weight"], atol=1e-6)
    assert second.tensors["fc.weight"].shape == (2, 32)
    assert second.class_names == ("class0", "class1")
    spec = second.spec
    assert spec is not None
    assert spec.start_from is not None
    assert spec.start_from.sha256 == begun.sha256


def test_weights_of_another_network_are_refused(
    rescli: Rescli, photos: Path, tmp_path: Path, net8: Path
) -> None:
    answer = rescli("train", *flags(photos), "--from", net8, "--out", tmp_path / "run")
    assert answer.code == 4
    assert "do not fit this network" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_damaged_image_stops_the_run_or_is_left_out(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    assert rescli("train", *flags(photos), "--out", tmp_path / "whole").code == 0
    normal = tmp_path / "whole/checkpoints/last.safetensors"
    (photos / "train/class1/4.jpg").write_bytes(b"no image")
    start = ("--from", normal)  # whose normalisation needs no image
    answer = rescli("train", *flags(photos), *start, "--out", tmp_path / "a")
    assert (answer.code, answer.out) == (3, "")
    assert "class1/4.jpg cannot be decoded" in answer.err
    assert not (tmp_path / "a").exists()  # known before the first iteration
    answer = rescli("train", *flags(photos), *start, "--skip-damaged", "--out", tmp_path / "b", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["skipped_images"] == ["class1/4.jpg"]
    assert "skipped 1 damaged image: class1/4.jpg" in answer.err
    # Nor is it measured for the normalisation.
    assert rescli("train", *flags(photos), "--out", tmp_path / "c").code == 3
    assert not (tmp_path / "c").exists()
    answer = rescli("train", *flags(photos), "--skip-damaged", "--out", tmp_path / "d", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["skipped_images"] == ["class1/4.jpg"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--set", "data.augment.pad=4"], "photographs are resized, not padded"),
        (["--set", "data.augment.shorter_side=[200,300]"], "holds no crop of that size"),
        (["--set", "data.augment.shorter_side=[480,256]"], "[smallest, largest]"),
        (["--set", "data.dataset.val_size=0", "--depth", "20"], "20 is not a depth"),
    ],
)
def test_what_cannot_work_is_exit_2(
    rescli: Rescli, photos: Path, tmp_path: Path, change: list[str], says: str
) -> None:
    answer = rescli("train", *flags(photos), *change, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert not (tmp_path / "run").exists()


def test_photographs_are_not_there(rescli: Rescli, tmp_path: Path) -> None:
    assert rescli("train", *flags(tmp_path / "absent"), "--out", tmp_path / "run").code == 3


def test_the_dry_run_counts_the_folder(rescli: Rescli, photos: Path) -> None:
    plan = rescli("train", *flags(photos), "--dry-run", "--json").json
    assert plan["plan"]["train_images"] == 18
    assert plan["spec"]["data"]["dataset"]["classes"] == ["class0", "class1", "class2"]
    fields = {row["field"]: row["verdict"] for row in plan["ledger"]}
    assert fields["data.augment.shorter_side"] == "same"
    assert json.dumps(plan["plan"]["triggers"]).count("validation error") == 1
