"""``rescli show``: what a checkpoint says of itself. No torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.options import Json
from rescli.cli.output.columns import print_line
from rescli.errors import first_names
from rescli.plurals import are, counted, image_of, plural

if TYPE_CHECKING:
    from rescli.checkpoints.metadata import KnownFigures, Origin, Section, StoredScheme
    from rescli.workflows.listings.show import CheckpointFacts

__all__ = ["show"]


def show(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A checkpoint (.safetensors), or a run directory: its last.", metavar="CKPT"),
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="Also every tensor with its shape.")] = False,
    json: Json = False,
) -> None:
    """Show what a checkpoint holds: network, results, origin, recipe and tensors."""
    from rescli.workflows.listings.show import show as read_facts

    checkpoint = named_checkpoint(checkpoint)
    facts = read_facts(checkpoint)
    if json:
        from rescli.cli.output.results import print_json

        print_json(facts)
        return
    _print_facts(str(checkpoint), facts, all_tensors=tensors)


def _print_facts(path: str, facts: CheckpointFacts, *, all_tensors: bool) -> None:
    model = facts["model"]
    name = "-".join(str(model[key]) for key in ("kind", "depth") if key in model)
    classes = facts.get("class_names", [])
    print_line(f"{path}")
    print()
    _print_lines(
        {
            "model": f"{name}, {facts['params']:,} parameters",
            "options": _listed({key: value for key, value in model.items() if key not in ("kind", "depth")}),
            "data set": _listed(facts.get("dataset", {})),
            "classes": f"{len(classes)}: {first_names(classes, 10)}",
            "normalization": _normalization(facts.get("normalization")),
            "weights": f"iteration {facts.get('iteration')}, {facts.get('selection')}, "
            f"trained in {facts.get('precision')}",
            **_origin(facts.get("data", {})),
            **_course(facts),
            "written by": f"rescli {facts.get('rescli_version')}, format {facts.get('format_version')}",
            "sha256": facts["sha256"],
        }
    )
    _print_results(facts.get("results", {}))
    if spec := facts.get("spec"):
        from rescli.spec.toml import to_toml

        print(f"\nspec\n\n{_indented(to_toml(spec))}")
    _print_ledger(facts)
    print()
    print_line(f"tensors: {len(facts['tensors'])} in {facts['bytes'] / 1e6:.2f} MB")
    for tensor in facts["tensors"] if all_tensors else ():
        print_line(f"  {tensor['name']:50} {tensor['dtype']:4} {'x'.join(map(str, tensor['shape']))}")


def _print_lines(lines: dict[str, str]) -> None:
    for label, text in lines.items():
        print_line(f"{label:14} {text}")


def _listed(values: Section) -> str:
    def text(value: object) -> str:
        return str(value["kind"]) if isinstance(value, dict) and "kind" in value else str(value)

    return ", ".join(f"{key} {text(value)}" for key, value in values.items()) or "none"


def _normalization(stored: StoredScheme | None) -> str:
    if stored is None:
        return "none"
    means = " ".join(str(round(mean, 4)) for mean in stored.get("mean_per_channel", []))
    return f"{stored['kind']}, mean {means}"


def _origin(data: Origin) -> dict[str, str]:
    if source := data.get("imported_from"):
        file, layout, sha256 = (source.get(key) for key in ("file", "layout", "sha256"))
        return {"imported from": f"{file} ({layout}), sha256 {sha256}"}
    return {plural(image_of(split)): f"sha256 {sha256}" for split, sha256 in data.get("sha256", {}).items()}


def _course(facts: CheckpointFacts) -> dict[str, str]:
    """How the run came to these weights, where its record says so: each session, and the other machine."""
    lines = {}
    if sessions := facts.get("sessions"):
        each = ", ".join(
            f"{session.get('from_iteration', '?')} to {session.get('iterations_done', '?')} "
            f"{session.get('status', '')}".rstrip()
            for session in sessions
        )
        lines["sessions"] = f"{len(sessions)}: {each}"
    if imported := facts.get("imported"):
        origins = [imported, *reversed(imported.get("earlier", []))]
        lines["imported"] = "; before, ".join(f"from {one['folder']}, {one['date']}" for one in origins)
    return lines


def _print_results(results: dict[str, KnownFigures]) -> None:
    print()
    print_line("results")
    if not results:
        print_line("  none in the checkpoint; rescli eval measures them")
    for split, row in results.items():
        number, top1, loss, interval = (
            row.get("num_images"),
            row.get("top1_error"),
            row.get("loss"),
            row.get("interval95"),
        )
        images = f", {counted(number, 'image')}" if number is not None else ""
        between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
        error = "unknown" if top1 is None else f"{top1:6.2f} %"
        print_line(
            f"  {split:5} top-1 error {error}{between}, loss {'unknown' if loss is None else f'{loss:.4f}'}"
            f"{images}, {row.get('protocol')}, {row.get('selection')}"
        )


def _print_ledger(facts: CheckpointFacts) -> None:
    if facts["ledger"] is None:
        reason = facts["ledger_problem"] or "trained elsewhere: nobody here knows how"
        print()
        print_line(f"ledger: none; {reason}")
        return
    other = [row for row in facts["ledger"] if row["verdict"] in ("differs", "beyond")]
    print()
    print_line(
        f"ledger: {len(other)} of {counted(len(facts['ledger']), 'choice')} {are(len(other))} not the paper's"
    )
    width = max((len(row["field"]) for row in other), default=0)
    for row in other:
        print_line(f"  {row['field']:{width}}  here {row['here']}, the paper {row['paper']}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.strip().splitlines())
