"""A net on a split, by a protocol: from weights to errors. Knows no file, no run directory and no seal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

import torch
from torch import nn

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import CheckpointError
from rescli.evaluation.averaging import average_views
from rescli.evaluation.classes import Matching, class_columns
from rescli.evaluation.damage import naming_the_way_out, without_damaged
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.images.which_images import (
    choose_split,
    folder_as_it_is,
    other_images,
    say_where_trained,
)
from rescli.evaluation.logits.cache import CacheKey, InferenceNotes, LogitsCache, code_sha256, versions
from rescli.evaluation.logits.inference import finite_logits
from rescli.evaluation.protocols import Average, Protocol, ViewChoices, Views, choose_protocol
from rescli.evaluation.result import Identity, NetResult, error_figures, require_alike
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics, choose_device, choose_eval_precision
from rescli.models.failure import naming_failed_module
from rescli.plurals import image_of, plural
from rescli.spec.base import DatasetSpec

__all__ = ["NetEvaluator", "Prepared", "TrainedNet"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """Weights to be evaluated, and what is known of them.

    Args:
        name: what the row's ``checkpoint`` says, a path.
        sha256: of the file that they were read from.
        model_name: ``resnet-56``.
        build: makes the network with its weights, on the CPU.
        dataset: the set that it was trained on.
        normalization: from pixels to its inputs.
        class_names: one an output.
        iteration: after which the weights were saved.
        selection: ``last``, ``best-val`` or ``imported``.
        precision: in which it was trained.
        data_sha256: fingerprint of the images of each split that it knew.
        data_root: where it had its images; None for the usual places.
        skip_damaged: whether its training left out damaged images.
    """

    name: str
    sha256: str
    model_name: str
    build: Callable[[], nn.Module]
    dataset: DatasetSpec
    normalization: Normalization
    class_names: tuple[str, ...]
    iteration: int
    selection: str
    precision: str
    data_sha256: Mapping[str, str]
    data_root: Path | None = None
    skip_damaged: bool = False


@dataclass(frozen=True, eq=False)
class Prepared:
    """A net and the images that it is about to see; every check but inference itself was made.

    Args:
        own: whether the images are of the set that the net was trained on.
        columns: the net's output for each class of the images.
    """

    net: TrainedNet
    dataset: DatasetSpec
    split: str
    own: bool
    protocol: Protocol
    views: Views
    images: LabelledImages
    columns: list[int]
    numerics: Numerics

    @property
    def by_default_protocol(self) -> bool:
        """Whether the protocol is the one that the set's results are noted by: the single view."""
        return self.protocol.name == choose_protocol(None, self.dataset).name


@dataclass(eq=False)
class NetEvaluator:
    """What several nets are evaluated by alike.

    Args:
        split: the part of the data set; several names are tried in their order. None: test, or where a set
            has none, val, or the whole of a flat folder.
        protocol: None for the set's single view.
        average: what is averaged over the views of an image.
        dataset: another set than the net's own.
        matching: how the set's classes belong to the net's.
        data_root: where the data lies; None for where the net had it, RESCLI_DATA, else the cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: of the convolutions; ``auto``: as trained.
        batch_size: inputs per forward pass. It sums in another order, which changed no count where it was
            measured, in fp32 and in bf16, and a loss in its ninth digit; so kept logits are found for any.
        cache: where logits are kept and found again; None for nowhere.
        progress: called with (views done, views of all images).
        together: whether the results are to be put together, in an ensemble or a file: nets of other images
            or classes than the first one's are refused before any inference.
        skip_damaged: leave out damaged images, as is done in any case for a net whose training did.
    """

    split: str | Sequence[str] | None = None
    protocol: str | None = None
    average: Average = "probabilities"
    dataset: DatasetSpec | None = None
    matching: Matching = "same"
    data_root: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    cache: LogitsCache | None = None
    progress: Callable[[int, int], None] | None = None
    together: bool = False
    skip_damaged: bool = False
    _images: dict[tuple[str, str, Path | None], LabelledImages] = field(default_factory=dict)
    _first: tuple[str, Identity] | None = None

    def prepare(self, net: TrainedNet) -> Prepared:
        """Read the images and hold everything against each other, before any inference.

        Raises:
            CheckpointError: the net was made for other classes than the set has, or no images were set aside.
            DataError: images missing, damaged, or others than the net knew; or no such part of the set.
            UsageError: the protocol does not fit the images or the net, or there is no such device.
        """
        device = choose_device(self.device)
        numerics = Numerics(device, choose_eval_precision(self.precision, net.precision, device))
        dataset = net.dataset if self.dataset is None else self.dataset.seen_as(net.dataset)
        own = self.dataset is None or self.dataset == net.dataset
        root, matching = self.data_root or (net.data_root if own else None), self.matching
        if own and (
            folder := folder_as_it_is(dataset, root, net=net.name, chosen=self.data_root is not None)
        ):
            dataset, own, matching = folder, False, "names" if matching == "same" else matching
        protocol = choose_protocol(self.protocol, dataset)
        views = protocol.views(dataset, image_size=net.dataset.image_size)
        split = choose_split(self.split, dataset, root, run=net.name if own else None)
        images = self._read(dataset, split, root)
        columns = self._columns(net, images, matching)
        recorded = net.data_sha256.get(split) if own else None
        if recorded not in (None, images.fingerprint):
            raise other_images(net.name, split, dataset, root)
        if isinstance(images, ImageFiles) and (self.skip_damaged or net.skip_damaged):
            images = replace(images, damaged={})
        if self.together:
            identity = Identity(images.fingerprint, images.class_names, net.class_names)
            self._first = self._first or (net.name, identity)
            require_alike(self._first[1], identity, self._first[0], net.name)
        if net.selection == "imported" and own and split != "test":
            _log.warning(
                "%s was imported: it may have been trained on the %s.", net.name, plural(image_of(split))
            )
        if not own and split == "all":
            say_where_trained(net.name, net.data_root, root)
        return Prepared(net, dataset, split, own, protocol, views, images, columns, numerics)

    def measure(self, prepared: Prepared) -> NetResult:
        """Logits of every view, from the cache or the net, and the errors made of them.

        Raises:
            CheckpointError: weights that do not fit the network, or logits that are not finite.
            DataError: an image is damaged.
            UsageError: a plugin's network failed, or the memory does not suffice.
        """
        net, images, views = prepared.net, prepared.images, prepared.views
        with naming_failed_module(net.model_name), naming_the_way_out():
            logits_NVK, notes, cached = self._logits(prepared)
        images, whole_N = without_damaged(images)
        logits_NVK = logits_NVK[whole_N]
        log_probabilities_NK = average_views(logits_NVK, self.average)
        result = NetResult(
            row={
                "checkpoint": net.name,
                "sha256": net.sha256,
                "model": net.model_name,
                "dataset": prepared.dataset.kind,
                "iteration": net.iteration,
                "selection": net.selection,
                "split": prepared.split,
                **_described(prepared.protocol, views, self.average),
                **error_figures(  # type: ignore[typeddict-item]
                    log_probabilities_NK, images.labels_N, prepared.columns
                ),
                "precision": prepared.numerics.precision,
                "device": notes["device"],
                "inference_seconds": notes["inference_seconds"],
                "cached": cached,
                "data_sha256": prepared.images.fingerprint,
            },
            logits_NVK=logits_NVK,
            log_probabilities_NK=log_probabilities_NK,
            labels_N=images.labels_N,
            columns=prepared.columns,
            class_names=images.class_names,
            net_classes=net.class_names,
            images=images,
        )
        if len(images) < len(prepared.images):
            left_out = (~whole_N).nonzero().flatten().tolist()
            result.row["skipped_images"] = [prepared.images.name(index) for index in left_out]
        return result

    def _read(self, dataset: DatasetSpec, split: str, root: Path | None) -> LabelledImages:
        """Once for all nets on the same set."""
        key = (dataset.model_dump_json(), split, root)
        if key not in self._images:
            self._images[key] = dataset.build(root, (split,))[split]
        return self._images[key]

    def _columns(self, net: TrainedNet, images: LabelledImages, matching: Matching) -> list[int]:
        theirs, ours = net.class_names, images.class_names
        if matching == "same" and theirs != ours and sorted(theirs) == sorted(ours):
            matching = "names"  # whatever their order, a class is its name
        try:
            return class_columns(net.class_names, images.class_names, matching)
        except CheckpointError as error:
            raise CheckpointError(f"{net.name}: {error}", hint=error.hint, remedy=error.remedies) from error

    def _logits(self, prepared: Prepared) -> tuple[torch.Tensor, InferenceNotes, bool]:
        """Logits (N, V, K), how they came about, and whether they were kept from before."""
        images, views, numerics = prepared.images, prepared.views, prepared.numerics
        num_classes = len(prepared.net.class_names)
        model = prepared.net.build()
        key = CacheKey(
            checkpoint_sha256=prepared.net.sha256,
            data_sha256=images.fingerprint,
            views=views.choices(),
            precision=numerics.precision,
            device_type=numerics.device.type,
            versions=versions(decoding=images.stacked is None or bool(views.shorter_sides)),
            code_sha256=code_sha256(model),
        )
        if self.cache is not None and (found := self.cache.get(key, (len(images), views.count, num_classes))):
            return *found, True
        numerics.configure_backend()
        batch_size = images.evaluation_batch_size if self.batch_size is None else self.batch_size
        began = time.perf_counter()
        logits_NVK = finite_logits(
            model.to(numerics.device).to(memory_format=torch.channels_last),
            view_batches(
                images, views, prepared.net.normalization, batch_size=batch_size, device=numerics.device
            ),
            views,
            num_images=len(images),
            num_classes=num_classes,
            numerics=numerics,
            batch_size=batch_size,
            progress=self.progress,
        )
        notes: InferenceNotes = {
            "device": device_name(numerics),
            "inference_seconds": time.perf_counter() - began,
        }
        if self.cache is not None and not getattr(images, "damaged", None):
            self.cache.put(key, logits_NVK, notes)
        return logits_NVK, notes, False


class _Described(TypedDict):
    protocol: str
    protocol_text: str
    views: ViewChoices
    num_views: int
    average: Average | None


def _described(protocol: Protocol, views: Views, average: Average) -> _Described:
    averaged = f"; average of {average}" if views.count > 1 else ""
    return {
        "protocol": protocol.name,
        "protocol_text": views.describe() + averaged,
        "views": views.choices(),
        "num_views": views.count,
        "average": average if views.count > 1 else None,
    }
