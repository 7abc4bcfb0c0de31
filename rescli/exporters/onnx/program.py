"""The program beside an ONNX file: from a picture to probabilities, with nothing of rescli."""

from __future__ import annotations

import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from rescli.evaluation.images.views import MAX_RESIZED
from rescli.evaluation.protocols import default_protocol
from rescli.exporters.base import Subject

__all__ = ["program_path", "program_text"]


def program_path(out: Path) -> Path:
    """``net.py`` for ``net.onnx``, and ``classify_torch.py`` for ``torch.onnx``.

    A folder with a ``torch.py`` would hide the package from every program in it.
    """
    packages = str(Path(np.__file__).parents[1])
    is_module = out.stem in sys.stdlib_module_names or (
        out.stem.isidentifier() and PathFinder.find_spec(out.stem, [packages]) is not None
    )
    return out.with_name(f"classify_{out.stem}.py" if is_module else f"{out.stem}.py")


def program_text(subject: Subject, path: Path) -> str:
    """Python that numpy, Pillow and onnxruntime suffice for.

    Args:
        subject: what was exported.
        path: of the ONNX file, beside which the program will lie.
    """
    checkpoint, raw = subject.checkpoint, subject.options.with_preprocessing
    dataset = checkpoint.dataset
    views = default_protocol(dataset).views(dataset)
    # Nets of images of one size get the centre of a picture, reduced to that size.
    side = views.shorter_sides[0] if views.shorter_sides else dataset.image_size
    name = program_path(path).name
    environment = Environment(
        loader=PackageLoader("rescli.exporters.onnx"),
        autoescape=False,  # Python, not HTML; the name of the file is quoted by ascii()
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("classify.py.jinja").render(
        program=name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else "FILE.py",
        preparation=subject.description["preparation"].replace("; ", ";\n"),
        model=ascii(path.name),
        raw=raw,
        upright=dataset.upright,
        has_std=checkpoint.normalization.std_C is not None,
        side=None if raw and dataset.any_size else side,
        crop=views.crop or dataset.image_size,
        most=MAX_RESIZED,
    )
