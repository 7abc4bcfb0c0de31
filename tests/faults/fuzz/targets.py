"""What is fed with damaged bytes: each reader of rescli's own files, and whoever uses what it gave back.

A target is right where it returns, or raises rescli's own error with a message, within a moment.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.header import CheckpointHeader, warm_start_from
from rescli.checkpoints.serialise import serialise
from rescli.cli.show import show
from rescli.data.normalization import Normalization
from rescli.data.photos.pack_index import INDEX, packed_counts, write_index
from rescli.errors import RescliError
from rescli.importers.exported import read_checkpoint
from rescli.runs.directory import RunDir
from rescli.runs.evaluating.known_results import known_results
from rescli.runs.metrics_log import read_metrics
from rescli.runs.saved_state import load_state
from rescli.runs.stored_record import read_record
from rescli.spec.load import load_spec
from rescli.spec.run import RunSpec
from rescli.spec.toml import to_toml
from rescli.studies.curves import RunCurves
from rescli.workflows.results.run import Run

__all__ = ["SEEDS", "TARGETS", "SlowError", "feed"]

_MOST_SECONDS = 5.0


class SlowError(Exception):
    """A small file took longer than anybody waits."""


def feed(target: str, data: bytes) -> None:
    """Give a target some bytes.

    Raises:
        Exception: whatever it raises that is not rescli's own.
        SlowError: it took more than five seconds.
    """
    began = time.process_time()
    try:
        with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")):
            TARGETS[target](data)
    except RescliError as error:
        if not str(error).strip():
            raise AssertionError("an error says nothing") from error
    if (took := time.process_time() - began) > _MOST_SECONDS:
        raise SlowError(f"{took:.1f} s of the processor for {len(data)} bytes")


def checkpoint_file(data: bytes) -> None:
    """A whole file: read by show, by what a run begins with, and by eval."""
    with _folder() as folder:
        path = folder / "a.safetensors"
        path.write_bytes(data)
        CheckpointHeader.read(path)
        try:
            load(data)
        except (SafetensorError, KeyError) as error:
            raise AssertionError("show takes a file that the library refuses") from error
        show(path, tensors=True)
        show(path, json=True)
        warm_start_from(path)
        read = Checkpoint.read(path)
        read.write(folder / "b.safetensors")
        assert Checkpoint.read(folder / "b.safetensors").results == read.results


def checkpoint_metadata(data: bytes) -> None:
    """The metadata as one JSON object of values, correctly signed: damage that no hash can show."""
    try:
        values = json.loads(data)
        texts = {str(key): json.dumps(value) for key, value in values.items()}
        whole = b"".join(serialise({"a": torch.zeros(2)}, texts))
    except (ValueError, AttributeError, RecursionError, SafetensorError, UnicodeError):
        return
    checkpoint_file(whole)


def record(data: bytes) -> None:
    """record.json, and what is asked of a run."""
    with _run() as run_dir:
        run_dir.record.write_bytes(data)
        _ = Run(run_dir.path).is_finished
        found = read_record(run_dir)
        known_results(run_dir.last, _checkpoint(), None)
        json.dumps(found, allow_nan=False).encode()
        Run(run_dir.path)._repr_html_()


def metrics(data: bytes) -> None:
    """metrics.jsonl, and the curves of it."""
    with _run() as run_dir:
        run_dir.metrics.write_bytes(data)
        rows = read_metrics(run_dir.metrics)
        RunCurves.of_rows(rows)
        json.dumps(rows, allow_nan=False)


def state(data: bytes) -> None:
    """What stands beside the tensors of a saved state, correctly signed."""
    import hashlib

    try:
        whole = b"".join(serialise({"ring": torch.zeros(2)}, {"state": data.decode()}))
    except (ValueError, SafetensorError):
        return
    with _run() as run_dir:
        (run_dir.state / "1.safetensors").write_bytes(whole)
        pointer = {"file": "1.safetensors", "sha256": hashlib.sha256(whole).hexdigest()}
        (run_dir.state / "latest.json").write_text(json.dumps(pointer))
        read = load_state(run_dir.state, _spec())
        assert read is not None
        torch.device(read.device)
        _ = read.step, read.evaluation_due


def pointer(data: bytes) -> None:
    """latest.json."""
    with _run() as run_dir:
        (run_dir.state / "latest.json").write_bytes(data)
        load_state(run_dir.state, _spec())


def results(data: bytes) -> None:
    """What an evaluation left as JSON, for an export."""
    with _folder() as folder:
        (folder / "eval.json").write_bytes(data)
        rows = known_results(folder / "a.safetensors", _checkpoint(), folder / "eval.json")
        json.dumps(rows, allow_nan=False)


def config(data: bytes) -> None:
    """config.json beside exported weights."""
    with _folder() as folder:
        tensors = {**_checkpoint().tensors}
        (folder / "model.safetensors").write_bytes(b"".join(serialise(tensors, {})))
        (folder / "config.json").write_bytes(data)
        read_checkpoint(folder / "model.safetensors").write(folder / "b.safetensors")
        Checkpoint.read(folder / "b.safetensors")


def spec(data: bytes) -> None:
    """A spec as TOML, as a file of the user's and as a run's."""
    with _run() as run_dir:
        run_dir.spec.write_bytes(data)
        try:
            run_dir.read_spec()
        except RescliError:
            load_spec(str(run_dir.spec))


def packed(data: bytes) -> None:
    """packed.json."""
    with _folder() as folder:
        (folder / INDEX).write_bytes(data)
        packed_counts(folder)


def data_root(data: bytes) -> None:
    """The note of where a run's images lie."""
    with _run() as run_dir:
        run_dir.data_root.write_bytes(data)
        noted = run_dir.read_data_root()
        assert noted is not None
        noted.exists()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "file": checkpoint_file,
    "metadata": checkpoint_metadata,
    "record": record,
    "metrics": metrics,
    "state": state,
    "pointer": pointer,
    "results": results,
    "config": config,
    "spec": spec,
    "packed": packed,
    "data_root": data_root,
}
"""By the name that the driver and the files of cases have for it."""


@contextmanager
def _folder() -> Iterator[Path]:
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if Path(memory).is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def _run() -> Iterator[RunDir]:
    with _folder() as folder:
        run_dir = RunDir(folder)
        run_dir.state.mkdir()
        run_dir.checkpoints.mkdir()
        run_dir.spec.write_text(to_toml(_spec().to_dict()))
        yield run_dir


@cache
def _spec() -> RunSpec:
    return load_spec("quickstart")


@cache
def _checkpoint() -> Checkpoint:
    whole = _spec()
    images = torch.arange(2 * 32 * 32 * 3).remainder(251).to(torch.uint8).view(2, 32, 32, 3)
    model = whole.model.build(num_classes=10, image_size=32, seed=0)
    return Checkpoint(
        tensors={name: tensor.detach() for name, tensor in model.state_dict().items()},
        model=whole.model,
        dataset=whole.data.dataset,
        spec=whole,
        normalization=Normalization.fit(images, "per-channel"),
        class_names=tuple(f"class {number}" for number in range(10)),
        iteration=7,
        selection="last",
        results={"val": {"top1_error": 12.5, "loss": 0.5, "interval95": [11.0, 14.0], "num_images": 40}},
        data={"dataset": "shapes", "sha256": {"train": "0" * 64}, "num_images": {"train": 40}},
        precision="fp32",
        sha256="a" * 64,
    )


def _seeds() -> dict[str, list[bytes]]:
    """A whole file for each target."""
    with _folder() as folder:
        checkpoint = _checkpoint()
        replace(checkpoint, tensors={"a": torch.zeros(2), "b": torch.zeros(3)}).write(
            folder / "a.safetensors"
        )
        whole = (folder / "a.safetensors").read_bytes()
        told = CheckpointHeader.read(folder / "a.safetensors").metadata
        write_index(folder, ("cat", "dog"), {"train": 2, "val": 1})
        index = (folder / INDEX).read_bytes()
    figures = {"iteration": 7, "num_images": 40, "top1_error": 12.5, "loss": 0.5, "interval95": [11.0, 14.0]}
    row = {**figures, "top5_error": None, "selection": "last", "protocol": "single", "precision": "fp32"}
    run = {
        "name": "x",
        "status": "finished",
        "iterations_done": 7,
        "spec_sha256": _spec().fingerprint(),
        "resumed_at": [3],
        "sessions": [{"from_iteration": 3, "status": "finished", "git": None, "torch_version": "2"}],
        "imported": {"folder": "gpu/x", "date": "2026-01-02"},
        "ledger": [{"field": "a"}],
        "git": {"commit": "a", "dirty": False},
        "results": {"train": None, "val": {**row, "best_val": row}, "test": row},
        "train_seconds": 3.5,
        "versions": {"torch": "2", "cuda": None},
        "threads": 2,
        "images_per_second": None,
    }
    log = [
        {"event": "train", "iteration": 1, "loss": 2.0, "top1_error": 90.0, "epoch": 0.5, "lr": 0.1},
        {"event": "val", "best": True, **{key: row[key] for key in (*figures, "top5_error")}},
    ]
    meta = {
        "spec": _spec().to_dict(),
        "numbers": {
            "step": 7,
            "evaluation_due": True,
            "window_start": 3,
            "trigger": {"since": 2.5},
            "best_val_error": None,
            "best_step": 2,
            "train_seconds": 3.0,
            "window_seconds": 1.0,
            "optimizer": {"optimizer.a.step": 3},
        },
        "precision": "fp32",
        "device": "cpu",
        "engine": "eager",
        "kernels": "plain",
        "threads": 2,
        "convolutions": "torch",
        "metrics_bytes": 0,
        "metrics_sha256": "0" * 64,
        "data_root": None,
        "data": {"dataset": "shapes", "num_images": {"train": 4}, "sha256": {"train": "0" * 64}},
    }
    described = {
        "model": "resnet-20",
        "model_spec": told["model"],
        "dataset": "shapes",
        "training": told["spec"],
        "class_names": told["class_names"],
        "normalization": told["normalization"],
        "checkpoint": {"iteration": 7, "selection": "last", "trained_in": "fp32", "imported_from": None},
        "results": [{"split": "val", **row}],
    }
    values = {key: value for key, value in told.items() if key != "content_sha256"}
    evaluated = {"results": [{**row, "split": "test", "sha256": "a" * 64, "checkpoint": "a"}]}
    return {
        "file": [whole],
        "metadata": [json.dumps(values).encode()],
        "record": [json.dumps(run).encode()],
        "metrics": [b"".join(json.dumps(one).encode() + b"\n" for one in log)],
        "state": [json.dumps(meta).encode()],
        "pointer": [json.dumps({"file": "1.safetensors", "sha256": "0" * 64}).encode()],
        "results": [json.dumps(evaluated).encode()],
        "config": [json.dumps(described).encode(), json.dumps({"rescli": described}).encode()],
        "spec": [to_toml(_spec().to_dict()).encode()],
        "packed": [index],
        "data_root": [b'{"data_root": "/photos"}'],
    }


SEEDS = _seeds()
"""Whole files, of which a fuzzer's are made."""
