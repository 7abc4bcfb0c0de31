"""An exported file held against its checkpoint, through the runtime of whoever will use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from rescli.errors import CheckpointError, VerificationError
from rescli.exporters.base import Exporter, Subject
from rescli.exporters.choices import LEAST_IMAGES
from rescli.exporters.description import Description
from rescli.exporters.parity.readers import JsonObject, ReaderFacts, tensor_hashes
from rescli.exporters.parity.sample import Pass, Sample, raw_passes
from rescli.models.failure import naming_failed_module
from rescli.plurals import are, counted
from rescli.remedy import Remedy

__all__ = ["TOLERANCES", "ExportCheck", "Tolerance", "check_export"]


class ExportCheck(TypedDict):
    """What was compared and what came out; agreements and errors in percent."""

    runtime: str
    dataset: str
    split: str
    num_images: int
    is_stand_in: bool
    batch_sizes: list[int]
    largest_logit: float
    largest_difference: float
    allowed_difference: float
    top1_agreement: float
    least_agreement: float | None
    top1_error: float | None
    checkpoint_top1_error: float | None


_MORE_TO_MEASURE = 1024
"""Training images, measured on which static quantization may agree with the checkpoint more often."""


@dataclass(frozen=True)
class Tolerance:
    """What an export may differ by.

    Args:
        logits: the largest difference of a logit, as a share of the largest logit.
        agreement: the least share of images, in percent, whose first class is the checkpoint's; None where
            the logits alone decide, because two classes may be nearer to each other than the precision tells
            apart.
    """

    logits: float
    agreement: float | None = None


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(logits=5e-5),
    "fp16": Tolerance(logits=2e-2),
    "bf16": Tolerance(logits=1e-1),
    "int8": Tolerance(logits=2e-1, agreement=90.0),
}
"""Precision to what is allowed; the checkpoint's logits are computed in fp32.

Some ten times what sound exports of 20 to 152 layers were seen to differ by, and twice what an untrained one
was. For int8 the class is what counts.
"""


def check_export(exporter: Exporter, subject: Subject, path: Path, sample: Sample) -> ExportCheck:
    """Read ``path`` in a process of its own and compare: description, weights, logits, first classes.

    Returns:
        What was compared and what came out, as JSON values.

    Raises:
        VerificationError: the file cannot be read, or is not the checkpoint's network.
    """
    options = subject.options
    passes = list(
        raw_passes(sample, subject.checkpoint, raw=options.with_preprocessing, batch_size=options.batch_size)
    )
    reference = _reference(subject, passes)
    logits, facts = _read(exporter, subject, path, passes)
    runtime = str(facts["runtime"])
    _require_description(subject.description, facts.get("description"), runtime)
    _require_weights(exporter.expected_tensors(subject), facts.get("tensors"), runtime)
    for number, (one, theirs, ours) in enumerate(zip(passes, logits, reference, strict=True)):
        if theirs.shape != ours.shape:
            raise VerificationError(
                f"{runtime} gives logits of shape {tuple(theirs.shape)} for a batch of {len(one.array)}; "
                f"they should be {tuple(ours.shape)} (forward pass {number})."
            )
    return _compare(subject, sample, passes, logits, reference, runtime)


def _reference(subject: Subject, passes: Sequence[Pass]) -> list[Tensor]:
    """The checkpoint's logits in fp32, by rescli's own network and its own preparation of images."""
    net = subject.checkpoint.build_model()
    logits: list[Tensor] = []
    seen, total = subject.counting("images of the check"), sum(len(one.inputs) for one in passes)
    with torch.inference_mode(), naming_failed_module(subject.checkpoint.model.name):
        for one in passes:
            seen(sum(map(len, logits)), total)
            logits.append(net(one.inputs))
    return logits


def _read(
    exporter: Exporter, subject: Subject, path: Path, passes: Sequence[Pass]
) -> tuple[list[Tensor], ReaderFacts]:
    with tempfile.TemporaryDirectory(prefix="rescli-export-") as temporary:
        given, made = Path(temporary) / "inputs.npz", Path(temporary) / "outputs.npz"
        arrays = {f"pass{number:05}": one.array.numpy() for number, one in enumerate(passes)}
        try:
            np.savez(given, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            raise CheckpointError(
                f"cannot write the images of the check to {temporary}: {error.strerror or error}.",
                hint="make room there, or set TMPDIR to another folder",
                page="disk-full-read-only-or-failing",
            ) from error
        done = subprocess.run(
            [sys.executable, *exporter.reader(subject), str(path), str(given), str(made)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
            check=False,
        )
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            reason = said[-1] if said else f"it ended with {done.returncode} and said nothing"
            raise VerificationError(
                f"the exported file cannot be used by {exporter.reader(subject)[1]}: {reason}"
            )
        with np.load(made) as arrays:
            names = sorted(name for name in arrays.files if name != "facts")
            logits = [torch.from_numpy(arrays[name]) for name in names]
            facts: ReaderFacts = json.loads(str(arrays["facts"]))
    if facts["imported_rescli"]:
        raise VerificationError("the program that reads the export imported rescli: it proves nothing.")
    return logits, facts


def _require_description(described: Description, theirs: JsonObject | None, runtime: str) -> None:
    """Where the file has one, it must say what we said: class names, normalisation, everything."""
    if theirs is None:
        return
    ours: JsonObject = json.loads(json.dumps(described))
    other = [key for key in ours if theirs.get(key) != ours[key]]
    if other:
        raise VerificationError(f"{runtime} reads another description than was written: {', '.join(other)}.")


def _require_weights(
    expected: Mapping[str, Tensor] | None, found: Mapping[str, str] | None, runtime: str
) -> None:
    if expected is None or found is None:
        return
    hashes = tensor_hashes(expected)
    other = [name for name in sorted({*hashes, *found}) if hashes.get(name) != found.get(name)]
    if other:
        listed = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise VerificationError(
            f"{len(other)} of {counted(len(hashes), 'tensor')} {are(len(other))} not the checkpoint's in "
            f"{runtime}: {listed}."
        )


def _compare(
    subject: Subject,
    sample: Sample,
    passes: Sequence[Pass],
    logits: Sequence[Tensor],
    reference: Sequence[Tensor],
    runtime: str,
) -> ExportCheck:
    allowed = TOLERANCES[subject.options.precision]
    theirs, ours = torch.cat(list(logits)), torch.cat(list(reference))
    largest = float(ours.abs().max())
    difference = float((theirs.double() - ours.double()).abs().max())
    agreement = 100 * _num_alike(passes, logits, reference) / len(sample)
    report: ExportCheck = {
        "runtime": runtime,
        "dataset": sample.dataset,
        "split": sample.split,
        "num_images": len(sample),
        "is_stand_in": sample.is_stand_in,
        "batch_sizes": sorted({len(one.array) for one in passes}),
        "largest_logit": largest,
        "largest_difference": difference,
        "allowed_difference": allowed.logits * largest,
        "top1_agreement": agreement,
        "least_agreement": allowed.agreement,
        "top1_error": _error(sample, passes, logits),
        "checkpoint_top1_error": _error(sample, passes, reference),
    }
    precision = subject.options.precision
    if not difference <= allowed.logits * largest:  # also where it is not a number
        raise VerificationError(
            f"logits from {runtime} differ from the checkpoint's by up to {difference:.3g} (the largest is "
            f"{largest:.3g}); {precision} is allowed {allowed.logits * largest:.3g}. The file is not written."
        )
    if allowed.agreement is not None and agreement < allowed.agreement:
        few = "" if len(sample) >= LEAST_IMAGES else " So few images say little of that."
        raise VerificationError(
            f"{runtime} agrees with the checkpoint on the class of {agreement:.2f} % of "
            f"{counted(len(sample), 'image')}; {precision} should on {allowed.agreement} %.{few} The file is "
            "not written.",
            remedy=_gentler(subject) if precision == "int8" else (),
        )
    return report


def _num_alike(passes: Sequence[Pass], logits: Sequence[Tensor], reference: Sequence[Tensor]) -> int:
    """How many images both put into the same class, each counted once however often it was repeated."""
    return sum(
        int((theirs.argmax(1) == ours.argmax(1))[: len(one.members)].sum())
        for one, theirs, ours in zip(passes, logits, reference, strict=True)
    )


def _gentler(subject: Subject) -> list[Remedy]:
    """Settings under which the file may agree with the checkpoint more often, each on its own."""
    ways = [Remedy("precision", "fp16")]
    if subject.options.quantization == "static":
        ways.append(Remedy("quantization", "dynamic", "or this: activations measured in each pass"))
        if subject.may_calibrate_on_more:
            more = max(_MORE_TO_MEASURE, 4 * subject.num_calibration)
            ways.append(Remedy("calibration_images", more, "or this: more images measured"))
    return ways


def _error(sample: Sample, passes: Sequence[Pass], logits: Sequence[Tensor]) -> float | None:
    """Percent among all classes of the network, over each image once.

    None for foreign images, and where they were cut to a common size.
    """
    if sample.columns is None:
        return None
    columns = torch.tensor(sample.columns)
    wrong, seen = 0, 0
    for made, one in zip(passes, logits, strict=True):
        if made.whole:
            labels = columns[sample.images.labels_N[made.members.start : made.members.stop]]
            wrong += int((one[: len(made.members)].argmax(1) != labels).sum())
            seen += len(made.members)
    return 100 * wrong / seen if seen == len(sample) else None
