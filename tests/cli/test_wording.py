"""Errors of the library as the command line words them."""

from __future__ import annotations

import pytest

from rescli.cli.output.wording import in_flags
from rescli.cli.remedies import next_steps
from rescli.errors import CheckpointError, UsageError
from rescli.remedy import Remedy


@pytest.mark.parametrize(
    ("hint", "remedies", "shown"),
    [
        (
            "these look like resnet-14, shortcut B",
            [Remedy("model", "resnet-14"), Remedy("shortcut", "B")],
            "these look like resnet-14, shortcut B: try --model resnet-14 --shortcut B",
        ),
        (None, [Remedy("format", "onnx", "for int8")], "--format onnx for int8"),
        (None, [Remedy("data_root", "DIR", "or RESCLI_DATA=DIR")], "--data-root DIR, or RESCLI_DATA=DIR"),
        (None, [Remedy("device", "cpu", "slower")], "--device cpu (slower)"),
        ("wait for it", [], "wait for it"),
    ],
)
def test_what_can_be_typed_reads_on(hint: str | None, remedies: list[Remedy], shown: str) -> None:
    with pytest.raises(UsageError) as caught, in_flags({}):
        raise UsageError("no", hint=hint, remedy=remedies)
    assert next_steps(caught.value) == f"\n  {shown}"


def test_settings_are_called_as_they_were_typed() -> None:
    with (
        pytest.raises(CheckpointError, match=r"^--format timm: no$"),
        in_flags({"the format timm": "--format timm"}),
    ):
        raise CheckpointError("the format timm: no")


def test_a_command_to_type_stands_on_a_line_of_its_own() -> None:
    with pytest.raises(UsageError) as caught, in_flags({}):
        raise UsageError("no", hint="rescli presets", remedy=Remedy("depth", 20))
    assert next_steps(caught.value) == "\n  try: rescli presets\n  --depth 20"
