"""The front door as a type checker sees it; mypy reads this file, and nothing runs it."""

from __future__ import annotations

from typing import assert_type

import rescli
from rescli.report.comparison.comparison import Comparison
from rescli.report.reproduction import Reproduction
from rescli.report.reproduction_status import ReproductionStatus
from rescli.spec.run import RunSpec
from rescli.workflows.export import ExportResult
from rescli.workflows.results.checkup import Checkup
from rescli.workflows.results.evaluation import Evaluation
from rescli.workflows.results.net import Net
from rescli.workflows.results.predictions import Predictions
from rescli.workflows.results.resume_proof import ResumeProof
from rescli.workflows.results.run import Run


def everything() -> None:
    """What DESIGN shows, and what each call gives."""
    assert_type(rescli.__version__, str)
    spec = assert_type(rescli.spec("cifar10/resnet-20", {"optimizer.lr": 0.05, "iterations": 4000}), RunSpec)
    run = assert_type(rescli.train(spec, out="runs/x", seed=1, on_event=print), Run)
    try:
        run = assert_type(rescli.resume("runs/x"), Run)
    except rescli.errors.Interrupted as error:
        assert_type(error.clean, bool)
    net = assert_type(rescli.load("runs/x"), Net)
    assert_type(net.predict(["cat.jpg", "dog.jpg"], top=5), Predictions)
    assert_type(rescli.predict(net, "holiday"), Predictions)
    assert_type(rescli.evaluate(run, protocol="ten-crop", split="val"), Evaluation)
    assert_type(rescli.compare(["plain-20", "resnet-20"], seeds=3, budget="20m"), Comparison)
    assert_type(rescli.reproduce("table6", train=False), Reproduction)
    assert_type(rescli.reproduction_status("table6", seeds=5), ReproductionStatus)
    assert_type(rescli.export(run, "onnx", "net.onnx"), ExportResult)
    assert_type(rescli.doctor("runs"), Checkup)
    assert_type(rescli.verify_resume(run, kills=2), ResumeProof)
