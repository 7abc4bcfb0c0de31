"""A short training on the embedded shapes, on the CPU."""

import torch

from rescli.hardware.numerics import Numerics
from rescli.runs.assembly import assemble
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.where import Where
from rescli.spec.load import load_spec

CPU = Where("cpu")
CPU_FP32 = Numerics(torch.device("cpu"), "fp32")

SMALL = [
    ("model", {"kind": "resnet", "depth": 8}),
    ("data.dataset", {"kind": "shapes", "num_train": 100, "num_val": 20, "num_test": 20}),
    ("data.batch_size", 8),
    ("iterations", 6),
    ("metrics.every", 2),
    ("checkpoint.every", 3),
    ("evaluation.every", 3),
]


def begin(path, numerics, overrides=(), **options):
    """Train 6 iterations in the directory: (run directory, record)."""
    spec = load_spec("shapes/base", [*SMALL, *overrides])
    with RunDir.create(path) as run_dir:
        run_dir.write_spec(spec)
        assembly = assemble(spec, numerics=numerics)
        return run_dir, execute(assembly, run_dir, **options)
