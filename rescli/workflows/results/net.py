"""A trained net as Python users hold it: the network, its preprocessing and its classes in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import nn

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import UsageError
from rescli.evaluation.classify import classify
from rescli.evaluation.images.pictures import (
    Picture,
    as_pictures,
    describe_preparation,
    picture_name,
    picture_set,
)
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.protocols import choose_protocol, default_protocol
from rescli.foreign_text import html_text
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import PRECISIONS, Numerics, choose_device, choose_eval_precision
from rescli.models.failure import naming_failed_module
from rescli.report.progress.counting import Count, counting
from rescli.spec.run import RunSpec
from rescli.workflows.arguments import check_count, check_name
from rescli.workflows.notes import with_notes
from rescli.workflows.results.predictions import EDITED, ClassProbability, Prediction, Predictions, Skipped

__all__ = ["Net"]

_FEW = 20
"""Pictures up to which no bar is worth its flicker."""


@dataclass(frozen=True, eq=False, repr=False)
class Net:
    """A trained net: ``load`` makes it from a run directory, a checkpoint or an exported folder.

    Args:
        model: in evaluation mode; images float32 (N, 3, H, W), as ``preprocess`` makes them -> logits (N, K).
        checkpoint: what was read: weights, specs, normalisation, classes, results.
        path: the file that it was read from.
    """

    model: nn.Module
    checkpoint: Checkpoint
    path: Path

    @property
    def name(self) -> str:
        """``resnet-56``."""
        return self.checkpoint.model.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """One for each of the K outputs."""
        return self.checkpoint.class_names

    @property
    def spec(self) -> RunSpec | None:
        """The run that trained it; None for imported weights."""
        return self.checkpoint.spec

    @property
    def results(self) -> dict[str, object]:
        """Errors in percent by split, as training left them in the checkpoint."""
        return dict(self.checkpoint.results)

    @property
    def image_size(self) -> int:
        """Side of its training images, or of their crops, in pixels."""
        return self.checkpoint.dataset.image_size

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        """Itself, its weights moved to a device.

        Args:
            device: ``auto``, ``cpu``, ``cuda``, ``mps`` or ``cuda:1``.

        Raises:
            UsageError: there is no such device here.
        """
        self.model.to(choose_device(str(device)))
        return self

    @with_notes
    def preprocess(self, picture: Picture) -> torch.Tensor:
        """A picture as the net sees it in an evaluation by its single view.

        A net of photographs gets the 224x224 centre of the picture with shorter side 256. A net of small
        images gets the centre of the picture with its shorter side reduced to theirs (bilinear, antialiased);
        a picture of exactly their size is left untouched.

        Args:
            picture: a file's name, an image of Pillow, or uint8 (H, W, 3) of numpy or torch.

        Returns:
            Normalised float32 (3, H, W), on the CPU.

        Raises:
            DataError: the file is missing or damaged; names it.
            UsageError: an array of another type or shape.
        """
        dataset = self.checkpoint.dataset
        views = default_protocol(dataset).views(dataset)
        names = [picture_name(picture, 0)]
        images = picture_set([picture], names, self.class_names, dataset=dataset, views=views)
        (batch,) = view_batches(images, views, self.checkpoint.normalization, batch_size=1, device="cpu")
        return batch.inputs[0].contiguous()

    @with_notes
    def predict(
        self,
        images: Picture | Sequence[Picture],
        top: int = 5,
        batch_size: int | None = None,
        protocol: str | None = None,
        precision: str = "auto",
        skip_unreadable: bool = False,
        progress: Count | bool | None = None,
    ) -> Predictions:
        """The most probable classes of pictures, computed as an evaluation does.

        Args:
            images: one picture or many: files' names, images of Pillow, or uint8 arrays (H, W, 3) of numpy or
                torch; an array (N, H, W, 3) is N pictures.
            top: classes to keep for each picture.
            batch_size: inputs per forward pass; changes no class.
            protocol: None for the single view; ``ten-crop``, ``flip``, ``multi-scale`` or a plugin's.
            precision: of the convolutions; ``auto``: as trained.
            skip_unreadable: note a picture that cannot be read among ``skipped`` in place of an error.
            progress: True for a bar, or lines where nothing can be drawn; False for nothing; None for a bar
                on a terminal and in a notebook; or a function, called with (pictures done, all pictures).

        Raises:
            DataError: a picture is missing or damaged; names it.
            UsageError: a protocol that does not fit, an array of another type or shape, or a network of a
                plugin that failed.
            CheckpointError: logits that are not finite.
        """
        check_count("top", top, least=1)
        check_count("batch_size", batch_size, least=1)
        check_name("precision", precision, PRECISIONS)
        pictures = as_pictures(images)
        names = [picture_name(picture, number) for number, picture in enumerate(pictures)]
        dataset, device = self.checkpoint.dataset, self.device
        chosen = choose_protocol(protocol, dataset)
        views = chosen.views(dataset)
        numerics = Numerics(device, choose_eval_precision(precision, self.checkpoint.precision, device))
        skipped: dict[int, str] | None = {} if skip_unreadable else None
        with naming_failed_module(self.name), counting(progress, unit="pictures", few=_FEW) as shown:
            probabilities_NK = classify(
                self.model,
                pictures,
                names,
                class_names=self.class_names,
                dataset=dataset,
                views=views,
                normalization=self.checkpoint.normalization,
                numerics=numerics,
                batch_size=batch_size,
                skipped=skipped,
                progress=shown,
            )
        best = probabilities_NK.sort(dim=1, descending=True, stable=True)
        count = min(top, len(self.class_names))
        found = zip(best.values[:, :count].tolist(), best.indices[:, :count].tolist(), strict=True)
        left_out, edited = skipped or {}, self._edited() is not None
        return Predictions(
            rows=tuple(
                Prediction(
                    names[number],
                    tuple(
                        ClassProbability(self.class_names[label], probability)
                        for probability, label in zip(probabilities, labels, strict=True)
                    ),
                )
                for number, (probabilities, labels) in enumerate(found)
                if number not in left_out
            ),
            skipped=tuple(Skipped(names[number], reason) for number, reason in sorted(left_out.items())),
            pictures=tuple(p for number, p in enumerate(pictures) if number not in left_out),
            checkpoint=None if edited else str(self.path),
            sha256=None if edited else self.checkpoint.sha256,
            model=self.name,
            protocol=chosen.name,
            preparation=describe_preparation(views, dataset),
            precision=numerics.precision,
            device=device_name(numerics),
        )

    def require_unchanged(self) -> None:
        """Refuse to speak for the checkpoint where the weights are no longer its.

        Raises:
            UsageError: ``model`` was trained on or edited since it was loaded.
        """
        if name := self._edited():
            raise UsageError(
                f"this {self.name} no longer has the weights of {self.path}: {name} is another.",
                hint="write them as a checkpoint of their own, and use that",
            )

    def _edited(self) -> str | None:
        """The first tensor that is no longer the checkpoint's; None where all are."""
        state, read = self.model.state_dict(), self.checkpoint.tensors
        for name in (*read, *state):
            if name not in state or name not in read or not torch.equal(state[name].cpu(), read[name]):
                return name
        return None

    def __repr__(self) -> str:
        return f"Net({', '.join(f'{label} {text}' for label, text in self._facts().items())})"

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        rows = "".join(
            f"<tr><th {left}>{label}</th><td {left}>{html_text(text)}</td></tr>"
            for label, text in self._facts().items()
        )
        return f"<table><tbody>{rows}</tbody></table>"

    def _facts(self) -> dict[str, str]:
        checkpoint = self.checkpoint
        names = ", ".join(self.class_names[:5]) + (", ..." if len(self.class_names) > 5 else "")
        errors = ", ".join(
            f"{split} {row['top1_error']:.2f} %" for split, row in checkpoint.results.items() if row
        )
        edited = self._edited() is not None
        params = sum(parameter.numel() for parameter in self.model.parameters())
        return {
            "model": f"{self.name}, {params:,} parameters",
            "trained on": f"{checkpoint.dataset.kind}, {self.image_size}x{self.image_size}",
            "classes": f"{len(self.class_names)}: {names}",
            "weights": EDITED if edited else f"iteration {checkpoint.iteration}, {checkpoint.selection}",
            "top-1 error": "not measured" if edited else errors or "not measured",
            "path": f"{self.path}, before they were edited" if edited else str(self.path),
        }
