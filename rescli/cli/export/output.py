"""What ``rescli export`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescli.cli.output.columns import print_line
from rescli.exporters.choices import LEAST_IMAGES
from rescli.plurals import counted, image_of

if TYPE_CHECKING:
    from rescli.exporters.export import ExportFacts

__all__ = ["print_export"]


_LABELS = {"ir_version": "IR version"}


def print_export(facts: ExportFacts) -> None:
    """The files, what goes in and comes out, and what the check saw."""
    check, taken = facts["check"], facts["input"]
    notes = dict(facts["facts"])
    read_by = notes.pop("read_by", None)
    details = [f"{_LABELS.get(key, key)} {_text(value)}" for key, value in notes.items()]
    batch_norm = ["batch normalisation folded"] if facts["batch_norm"] == "folded" else []
    quantization = [f"{facts['quantization']} quantization"] if facts["quantization"] else []
    print_line(
        ", ".join([facts["model"], facts["format"], facts["precision"], *quantization, *batch_norm, *details])
    )
    print_line(
        f"input   {taken['name']} {taken['dtype']} ({', '.join(map(str, taken['shape']))}), {taken['is']}"
    )
    print_line(f"        {facts['preparation']}")
    gives = facts["output"]
    print_line(f"output  {gives['name']} {gives['dtype']} ({', '.join(map(str, gives['shape']))})")
    origin = facts["checkpoint"]
    print_line(f"weights {facts['checkpoint_file']}, iteration {origin['iteration']}, {origin['selection']}")
    if isinstance(read_by, list):
        print_line(f"read by {'; '.join(read_by)}")
    images = f"{counted(check['num_images'], image_of(check['split']))} of {check['dataset']}"
    stand_in = " (a stand-in)" if check["is_stand_in"] else ""
    if facts["checkpoint"]["selection"] == "imported" and not stand_in and check["split"] != "test":
        stand_in = " (the imported net may have been trained on them)"
    print()
    print_line(f"checked with {check['runtime']}, in a process without rescli")
    print_line(f"  {images}{stand_in}, batches of {' '.join(map(str, check['batch_sizes']))}")
    print_line(
        f"  largest difference of a logit  {check['largest_difference']:.2e} "
        f"(largest logit {check['largest_logit']:.3g}, allowed {check['allowed_difference']:.2e})"
    )
    few = " (of so few images that it says little)" if check["num_images"] < LEAST_IMAGES else ""
    print_line(f"  top-1 agreement                {check['top1_agreement']:.2f} %{few}")
    if check["top1_error"] is not None:
        print_line(
            f"  top-1 error                    {check['top1_error']:.2f} % "
            f"(the checkpoint {check['checkpoint_top1_error']:.2f} %)"
        )
    print()
    for file in facts["files"]:
        print_line(file)
    print_line(f"{facts['bytes'] / 1e6:.2f} MB")


def _text(value: str | int | list[str]) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
