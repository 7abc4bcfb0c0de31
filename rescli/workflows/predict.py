"""``predict``: a trained net on pictures that nobody has labelled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rescli.checkpoints.locate import Source
from rescli.data.folders.names import PLUGIN_SUFFIXES, SUFFIXES
from rescli.data.folders.walk import LeftOut, images_below
from rescli.evaluation.protocols import named_protocol
from rescli.hardware.numerics import PRECISIONS
from rescli.report.progress.counting import Count
from rescli.workflows.arguments import check_count, check_name
from rescli.workflows.load import load
from rescli.workflows.notes import with_notes
from rescli.workflows.results.net import Net
from rescli.workflows.results.predictions import Predictions, Skipped

__all__ = ["predict"]


@with_notes
def predict(
    net: Net | Source,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    top: int = 5,
    protocol: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    progress: Count | bool | None = None,
) -> Predictions:
    """Classify image files and folders of them; what cannot be read is skipped and named.

    Args:
        net: a loaded net, which is used where it lies, or what ``load`` takes.
        paths: files, or folders, whose images are found in all folders below them.
        top: classes to keep for each picture.
        protocol: None for the single view; ``ten-crop``, ``flip``, ``multi-scale`` or a plugin's.
        device: for a net that is loaded here: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: of the convolutions; ``auto``: as trained.
        batch_size: inputs per forward pass; changes no class.
        progress: True for a bar, or lines where nothing can be drawn; False for nothing; None for a bar on a
            terminal and in a notebook; or a function, called with (pictures done, all pictures).

    Returns:
        The predictions in the order of the paths, each folder's sorted by name; ``skipped`` says what could
        not be read, and why.

    Raises:
        CheckpointError: no such checkpoint, a damaged one, or logits that are not finite.
        UsageError: a protocol or device that does not fit.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> from PIL import Image
        >>> Image.new("RGB", (80, 60), "red").save("red.png")
        >>> found = rescli.predict("runs/tiny", ["red.png", "absent.png"], top=3)
        >>> [(row.file, len(row.top)) for row in found]
        [('red.png', 3)]
        >>> found.skipped
        (Skipped(file='absent.png', reason='no such file: absent.png'),)
        >>> found.to_csv("classes.csv")
    """
    check_count("top", top, least=1)
    check_count("batch_size", batch_size, least=1)
    check_name("precision", precision, PRECISIONS)
    if protocol is not None:
        named_protocol(protocol)  # refuses an unknown name before anything is read
    loaded = net if isinstance(net, Net) else load(net, device=device)
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files, without = _files(given)
    predictions = loaded.predict(
        files,
        top,
        batch_size=batch_size,
        protocol=protocol,
        precision=precision,
        skip_unreadable=True,
        progress=progress,
    )
    return replace(predictions, skipped=(*without, *predictions.skipped))


def _files(paths: Sequence[str | os.PathLike[str]]) -> tuple[list[str], list[Skipped]]:
    """Every image file that is named or lies below a named folder; and folders without any."""
    found: list[str] = []
    without: list[Skipped] = []
    for path in paths:
        # os.path: pathlib raises where a path is too long.
        if not os.path.isdir(path):
            found.append(os.fspath(path))
            continue
        prefix = os.path.join(path, "")
        try:
            inside = sorted(images_below(Path(path), LeftOut(), by="content", prefix=prefix))
        except OSError as error:
            why = f"{error.filename or path} cannot be read: {error.strerror or error}"
            without.append(Skipped(os.fspath(path), why))
            continue
        found += inside
        if not inside:
            suffixes = " ".join((*SUFFIXES, *PLUGIN_SUFFIXES))
            without.append(
                Skipped(os.fspath(path), f"{path} holds no image, of those that end in {suffixes}")
            )
    return found, without
