"""The sink that saves a run: checkpoints, the state for resume, and record.json."""

from __future__ import annotations

from typing import Self, cast

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.metadata import KnownFigures, Origin
from rescli.errors import CheckpointError
from rescli.evaluation.classes import has_top5
from rescli.evaluation.metrics import wilson_interval
from rescli.files import write_json
from rescli.hardware.device_name import device_name
from rescli.hardware.threads.waiting import Watch
from rescli.runs.assembly import Assembly
from rescli.runs.directory import RunDir
from rescli.runs.in_place import require_in_place
from rescli.runs.metrics_log import MetricsLog, MetricsRow, read_metrics
from rescli.runs.record import (
    convolutions_record,
    data_record,
    now,
    peak_memory_bytes,
    provenance,
    record_before,
    skipping_since,
)
from rescli.runs.saved_state import SavedState, describe_state, save_state
from rescli.runs.sessions import new_session, sessions_before, up_to_date
from rescli.runs.stored_record import RunRecord, SplitResult
from rescli.runs.writer import BackgroundWriter, HostCopies
from rescli.spec.ledger.ledger import ledger
from rescli.training.engines.choose import Chosen
from rescli.training.events import CheckpointDue, EvalDone, EvalResult, Event, FitDone, MetricsReady, Stopped
from rescli.training.state import TrainState

__all__ = ["RunSaver"]


class RunSaver:
    """Writes what must survive, in this order: log, checkpoint, state, its pointer, record.

    All but the log is written by a thread; ``close`` waits for it. A context manager.
    """

    def __init__(
        self,
        run_dir: RunDir,
        assembly: Assembly,
        state: TrainState,
        *,
        chosen: Chosen,
        log: MetricsLog,
        watch: Watch | None = None,
    ) -> None:
        """Note what the run is computed by, and write its record for the first time.

        Args:
            run_dir: where it is written; the caller holds its lock.
            assembly: the parts of the run.
            state: what is saved; it is read whenever an event says that it is due.
            chosen: the engine that advances it.
            log: the log whose length a saved state remembers.
            watch: knows how long other programs took cores.
        """
        self._run_dir, self._assembly, self._state = run_dir, assembly, state
        self._log, self._chosen, self._watch = log, chosen, watch
        self._writer = BackgroundWriter(lambda: require_in_place(run_dir))
        self._train_row, self._val_row, self._best_row = _rows_so_far(
            run_dir, has_top5(len(assembly.train_set.class_names))
        )
        run_dir.keep_data_root(assembly.data_root)  # a resumed run may have been told another
        before = record_before(run_dir)
        # A resumed run goes on counting, as it does train_seconds.
        self._before = before if state.step else RunRecord(results={})
        spec, numerics = assembly.spec, assembly.numerics
        record = {
            "name": spec.name,
            "status": "running",
            "spec_sha256": spec.fingerprint(),
            "started": before.get("started", None if state.step else now()),
            "updated": now(),
            **provenance(),
            "device": device_name(numerics),
            "precision": numerics.precision,
            "engine": chosen.engine.name,
            "kernels": assembly.kernels.name,
            "kernels_reason": assembly.kernels.why_plain,
            "convolutions": convolutions_record(assembly.kernels.convolutions),
            "threads": torch.get_num_threads(),
            "ranks": assembly.ranks.size,
            "params": sum(parameter.numel() for parameter in state.model.parameters()),
            "data": data_record(assembly),
            **({"start_from": assembly.start_record} if assembly.start_record else {}),
            **({"continues": before["continues"]} if state.step and "continues" in before else {}),
            "resumed_at": [*before.get("resumed_at", []), *([state.step] if state.step else [])],
            "ledger": [row.to_dict() for row in ledger(spec)],
            "scaled": spec.scaled_from is not None,
            "iterations_done": state.step,
            "last_saved_iteration": state.step or None,
            "train_seconds": state.train_seconds,
            "images_per_second": None,
            "peak_memory_bytes": None,
            "results": before.get("results", {}) if state.step else {},
        }
        self.record = cast(RunRecord, record)
        self.record["sessions"] = [*sessions_before(before), new_session(self.record)]
        if (since := skipping_since(before, spec, state.step)) is not None:
            self.record["skipping_since"] = since
        self._write_record()

    def __call__(self, event: Event) -> None:
        """Save what the event says is due."""
        if isinstance(event, MetricsReady):
            self._train_row = {"iteration": event.step, "loss": event.loss, "top1_error": event.top1_error}
        elif isinstance(event, EvalDone):
            self._val_row = _val_result(event.step, event.result)
            if event.best:
                self._best_row = self._val_row
                self._save_best()
        elif isinstance(event, CheckpointDue):
            self._save()
        elif isinstance(event, FitDone | Stopped):
            self.close("finished" if isinstance(event, FitDone) else "interrupted")

    def close(self, status: str) -> None:
        """Wait for what is being written, then write the record a last time, saying how the run ended."""
        try:
            self._writer.wait()
        except CheckpointError:
            # A run is not finished where its state is not saved; that it diverged stays true.
            status = status if status == "diverged" else "failed"
            raise
        finally:
            self.record["status"] = status
            self._write_record()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """However the run ended, what is queued gets written."""
        self._writer.close()

    def _save(self) -> None:
        metrics_bytes, metrics_sha256 = self._log.sync()
        tensors, numbers = describe_state(self._state)
        held = HostCopies.of(tensors)
        numerics, spec, directory = self._assembly.numerics, self._assembly.spec, self._run_dir
        model = {
            name.removeprefix("model."): tensor
            for name, tensor in held.tensors.items()
            if name.startswith("model.")
        }
        last = self._checkpoint("last", model)
        saved = SavedState(
            tensors=held.tensors,
            numbers=numbers,
            precision=numerics.precision,
            device=str(numerics.device),
            engine=self.record["engine"],
            kernels=self._assembly.kernels.name,
            convolutions=self._assembly.kernels.convolutions.name,
            threads=torch.get_num_threads(),
            metrics_bytes=metrics_bytes,
            metrics_sha256=metrics_sha256,
            data=data_record(self._assembly),
        )
        self._update_record()
        record: RunRecord = {**self.record, "last_saved_iteration": saved.step}

        def write() -> None:
            held.wait()
            last.write(directory.last)
            require_in_place(directory)  # each file may be as large as the moment is long
            save_state(directory.state, saved, spec)
            require_in_place(directory)
            write_json(directory.record, record, error=CheckpointError)
            self.record["last_saved_iteration"] = saved.step

        self._writer.submit(write)

    def _save_best(self) -> None:
        held = HostCopies.of(self._state.model.state_dict())
        best, path = self._checkpoint("best-val", held.tensors), self._run_dir.best

        def write() -> None:
            held.wait()
            best.write(path)

        self._writer.submit(write)

    def _checkpoint(self, selection: str, tensors: dict[str, torch.Tensor]) -> Checkpoint:
        return Checkpoint(
            tensors=tensors,
            model=self._assembly.spec.model,
            dataset=self._assembly.spec.data.dataset,
            spec=self._assembly.spec,
            normalization=self._assembly.normalization,
            class_names=self._assembly.train_set.class_names,
            iteration=self._state.step,
            selection=selection,
            results=cast(dict[str, KnownFigures], self._results(selection)),
            data=cast(Origin, data_record(self._assembly)),
            precision=self._assembly.numerics.precision,
        )

    def _results(self, selection: str) -> dict[str, SplitResult | None]:
        results: dict[str, SplitResult | None] = {}
        if self._train_row:
            results["train"] = {
                **self._train_row,
                "selection": selection,
                "protocol": "augmented, while training",
            }
        row = self._best_row if selection == "best-val" else self._val_row
        if row:
            results["val"] = {**row, "selection": selection, "protocol": self._assembly.protocol.name}
        return results

    def _write_record(self) -> None:
        self._update_record()
        require_in_place(self._run_dir)
        write_json(self._run_dir.record, self.record, error=CheckpointError)

    def _update_record(self) -> None:
        state, record = self._state, self.record
        results = self._results("last")
        if (val := results.get("val")) and self._best_row:
            val["best_val"] = self._best_row
        # A test result stands until the run goes on; then it no longer belongs to the last weights.
        if "test" in record["results"] and record["iterations_done"] == state.step:
            results["test"] = record["results"]["test"]
        record["results"] = results
        record["updated"] = now()
        record["iterations_done"] = state.step
        record["sessions"] = up_to_date(record)
        record["train_seconds"] = round(state.train_seconds, 3)
        if state.train_seconds > 0:
            images = state.step * self._assembly.plan.batch_size
            record["images_per_second"] = round(images / state.train_seconds, 1)
        record["engine_reason"] = self._chosen.reason
        record["peak_memory_bytes"] = peak_memory_bytes(self._assembly.numerics)
        if self._watch is not None and (shared := self._watch.short_seconds) is not None:
            shared += self._before.get("shared_cpu_seconds", 0.0)
            record["shared_cpu_seconds"] = round(shared, 1)
        loader = self._assembly.loader
        if loader.waited_seconds is not None:
            waited = self._before.get("waited_for_data_seconds", 0.0) + loader.waited_seconds
            record["waited_for_data_seconds"] = round(waited, 3)
            record["skipped_images"] = sorted({*self._before.get("skipped_images", []), *loader.damaged})
        if self._assembly.spec.data.skip_damaged:
            skipped_val = {*self._before.get("skipped_val_images", []), *self._assembly.skipped_val}
            record["skipped_val_images"] = sorted(skipped_val)


def _rows_so_far(
    run_dir: RunDir, with_top5: bool
) -> tuple[SplitResult | None, SplitResult | None, SplitResult | None]:
    """The newest results of train and val and the best of val, as a resumed run left them.

    A log of an earlier version has a top-5 error of 0 where there are too few classes for one.
    """
    rows = read_metrics(run_dir.metrics)
    train: list[SplitResult] = [
        {"iteration": row["iteration"], "loss": row["loss"], "top1_error": row["top1_error"]}
        for row in rows
        if row["event"] == "train"
    ]
    val = [row for row in rows if row["event"] == "val"]
    results = [_val_result(row["iteration"], _as_result(row, with_top5)) for row in val]
    best = [result for result, row in zip(results, val, strict=True) if row["best"]]
    newest = [rows[-1] if rows else None for rows in (train, results, best)]
    return newest[0], newest[1], newest[2]


def _as_result(row: MetricsRow, with_top5: bool) -> EvalResult:
    top5_error = row["top5_error"] if with_top5 else None
    return EvalResult(row["num_images"], row["top1_error"], top5_error, row["loss"])


def _val_result(step: int, result: EvalResult) -> SplitResult:
    low, high = wilson_interval(result.top1_error, result.num_images)
    return {
        "iteration": step,
        "num_images": result.num_images,
        "top1_error": result.top1_error,
        "top5_error": result.top5_error,
        "loss": result.loss,
        "interval95": [low, high],
    }
