"""The rows of compare.json and of a reproduction's JSON, as types. Errors are in percent."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from rescli.runs.stored_record import ImportedRecord
from rescli.studies.not_run import NotRun
from rescli.studies.responses import ResponsesRow
from rescli.studies.statistics.seeds import SeedsMean

__all__ = [
    "ContenderRow",
    "ContenderRunRow",
    "ImagesTest",
    "PairRow",
    "PublishedFigure",
    "ReproducedRunRow",
    "ReproductionRow",
    "SeedsTest",
    "SplitTests",
]


class ContenderRunRow(TypedDict):
    """One seed of a contender; what only a run directory knows is None for a checkpoint on its own.

    ``train_error`` is of the training images without augmentation, ``augmented_train_error`` of the last
    window of training. ``at_chance``: the training error is no better than one answer for all images.
    """

    checkpoint: str
    iteration: int | None
    selection: str
    protocol: str
    num_test: int
    test_error: float
    interval95: list[float]
    test_sha256: str
    train_error: float
    train_sha256: str
    augmented_train_error: float | None
    val_error: float | None
    best_test_error: float | None
    train_seconds: float | None
    images_per_second: float | None
    scaled: bool
    at_chance: bool


class PublishedFigure(TypedDict):
    """The paper's error of a contender, and whether ours agrees: see ``studies.statistics.agreement``."""

    top1_error: float | None
    mean: float | None
    source: str
    interval95: list[float]
    interval: str
    verdict: str


class ContenderRow(TypedDict):
    """One way to train, or one net: its figures over all of its seeds.

    ``params`` are counted, ``macs`` the multiply-adds of one image's forward pass. ``scaled``: a budget
    shortened its schedule. ``at_chance``: none of its runs learned anything.
    """

    label: str
    model: str
    shortcut: str | None
    dataset: str
    params: int | None
    macs: int | None
    protocol: str
    test_sha256: list[str]
    train_sha256: list[str]
    scaled: bool
    at_chance: bool
    runs: list[ContenderRunRow]
    train_error: SeedsMean | None
    augmented_train_error: SeedsMean | None
    val_error: SeedsMean | None
    test_error: SeedsMean | None
    best_test_error: SeedsMean | None
    train_seconds: float | None
    images_per_second: float | None
    published: PublishedFigure | None
    responses: NotRequired[ResponsesRow | None]


class ImagesTest(TypedDict):
    """A ``PairedResult`` of ``rescli.studies.statistics.significance``: two nets on the same images."""

    num_images: int
    only_first_wrong: int
    only_second_wrong: int
    difference: float
    interval95: tuple[float, float]
    p_mcnemar: float
    detectable: float | None


class SeedsTest(TypedDict):
    """A ``SeedsResult`` of ``studies.statistics.significance``: two ways to train, several seeds each."""

    counts: tuple[int, int]
    means: tuple[float, float]
    stds: tuple[float | None, float | None]
    difference: float
    interval95: tuple[float, float] | None
    p_welch: float | None
    p_permutation: float | None
    detectable: float | None


class SplitTests(TypedDict):
    """Both tests of a difference on one split: image by image (first seeds), and over seeds."""

    images: ImagesTest
    seeds: SeedsTest


class PairRow(TypedDict):
    """Two contenders. ``reason`` says why they are not ranked, and is None where they are."""

    first: str
    second: str
    reason: str | None
    test: NotRequired[SplitTests]
    train: NotRequired[SplitTests]
    verdict: NotRequired[list[str]]


class ReproducedRunRow(TypedDict):
    """One finished run of a reproduction."""

    run: str
    seed: int
    top1_error: float
    top5_error: float | None
    num_images: int
    protocol: str
    data_sha256: str
    train_seconds: float | None
    images_per_second: float | None
    device: str | None
    precision: str | None
    train_error: float | None
    imported: NotRequired[ImportedRecord]


class ReproductionRow(TypedDict):
    """One net of a table or figure of the paper: published and measured errors, or why it was not run."""

    label: str
    preset: str | None
    published_top1: float | None
    published_top5: float | None
    measured: SeedsMean | None
    verdict: str | None
    not_run: NotRun | None
    measured_top5: NotRequired[SeedsMean | None]
    seeds_wanted: NotRequired[int]
    differs_from_paper: NotRequired[list[str]]
    runs: NotRequired[list[ReproducedRunRow]]
    interval95: NotRequired[list[float]]
    interval: NotRequired[str]
