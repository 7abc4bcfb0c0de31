"""Which runs a table or figure of the paper needs, and why it has none of the other nets. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rescli.errors import UnknownNameError
from rescli.spec.load import load_spec, preset_names
from rescli.spec.run import RunSpec
from rescli.studies.not_run import NotRun
from rescli.studies.paper_items import PaperItem, PaperNet
from rescli.studies.queued_run import seeded

__all__ = ["wanted_specs"]


def wanted_specs(
    item: PaperItem, only: Sequence[str], seeds: int, changes: Mapping[str, object]
) -> tuple[dict[PaperNet, list[RunSpec]], dict[PaperNet, NotRun]]:
    """Per net that is to be trained one spec a seed; and why the other nets of ours are not run.

    Args:
        item: the table or figure.
        only: these nets alone, as the table calls them; empty for all.
        seeds: runs of each net.
        changes: keys of all specs.

    Raises:
        UnknownNameError: it has no such net.
        SpecError: a key or value that cannot work.
    """
    specs = _specs(item, _chosen(item, only), seeds, changes)
    return specs, _not_run(item, specs)


def _chosen(item: PaperItem, only: Sequence[str]) -> set[str]:
    """The labels of the nets to be trained."""
    trainable = [net.label for net in item.nets if net.preset is not None]
    by_folded = {label.lower(): label for label in trainable}
    by_folded |= {label.lower().removesuffix(" a"): label for label in trainable if label.endswith(" A")}
    for given in only:
        if given.lower() not in by_folded:
            raise UnknownNameError(f"net of {item.name}", given, trainable)
    return {by_folded[given.lower()] for given in only} or set(trainable)


def _specs(
    item: PaperItem, chosen: set[str], seeds: int, changes: Mapping[str, object]
) -> dict[PaperNet, list[RunSpec]]:
    """Per net that is to be trained one spec a seed."""
    specs: dict[PaperNet, list[RunSpec]] = {}
    for net in item.nets:
        if net.reason is None and net.label in chosen and net.preset in preset_names():
            shortcut = {"model.shortcut": net.shortcut} if net.shortcut is not None else {}
            spec = load_spec(net.preset, [*shortcut.items(), *changes.items()])
            specs[net] = seeded(spec, seeds)
    return specs


def _not_run(item: PaperItem, specs: Mapping[PaperNet, object]) -> dict[PaperNet, NotRun]:
    """Why the other nets of ours are not run."""
    not_run: dict[PaperNet, NotRun] = {}
    for net in item.nets:
        if net.reason is not None:
            not_run[net] = NotRun(net.reason, "closed")
        elif net.preset is None or net in specs:
            continue  # a net of others, or one that is trained
        elif net.preset not in preset_names():
            not_run[net] = NotRun(f"there is no preset {net.preset} yet", "no_preset")
        else:
            not_run[net] = NotRun("left out, as asked", "left_out")
    return not_run
