"""What is refused is named, whatever else was taken in."""

from pathlib import Path

import pytest

from rescli.errors import VerificationError
from rescli.remedy import Remedy
from rescli.studies.evidence.outcome import IncomingRun, require_taken

TAKEN = IncomingRun(Path("gpu/a"), "taken", Path("runs/a"), "ResNet-20 A", note="its images are not here")
REFUSED = IncomingRun(Path("gpu/b"), "refused", reason="it is not whole.", remedy=Remedy("precision", "fp32"))


def test_nothing_was_refused():
    require_taken([])
    require_taken([TAKEN, IncomingRun(Path("gpu/c"), "not needed", reason="another net")])


def test_the_refused_ones_are_named_with_their_reasons():
    with pytest.raises(VerificationError) as caught:
        require_taken([TAKEN, REFUSED], ", and nothing is trained")
    assert str(caught.value) == "1 of 2 runs not taken in, and nothing is trained: gpu/b: it is not whole."
    assert caught.value.remedies == (Remedy("precision", "fp32"),)
    assert caught.value.exit_code == 6


def test_each_in_a_sentence():
    assert str(TAKEN) == "taken: gpu/a as runs/a (its images are not here)"
    assert str(REFUSED) == "refused: gpu/b (it is not whole.)"
    assert TAKEN.to_dict()["run"] == "runs/a"
