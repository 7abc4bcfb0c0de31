"""``.pt2``: the whole computation as a program of torch.export."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from rescli.exporters.base import Exporter, FormatFacts, Subject
from rescli.exporters.description import json_text
from rescli.exporters.graph import capture
from rescli.exporters.parity import readers

__all__ = ["TorchExportExporter"]


class TorchExportExporter(Exporter):
    """``torch.export.load(file).module()(images)`` gives the logits; rescli.json inside describes them."""

    kind = "torch-export"
    suffixes = (".pt2",)
    is_graph = True
    settings = ("batch_size",)

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        text = json_text(subject.description)
        written = io.BytesIO()
        torch.export.save(capture(subject), written, extra_files={"rescli.json": text})
        path.write_bytes(written.getbuffer())  # torch would answer a full disk with an error of its own
        return {"torch": torch.__version__}

    def reader(self, subject: Subject) -> list[str]:
        return [str(readers.__file__), "torch.export"]
