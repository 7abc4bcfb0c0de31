"""What spoils files must spoil them, and what judges must see it."""

import json
import random

import pytest
from trials.case import Case, Failed
from trials.judge import Judge, essence
from trials.mutate.damage import damaged
from trials.mutate.values import change, dumps
from trials.mutate.weights import Weights
from trials.process import Ended

from rescli.checkpoints.header import CheckpointHeader


class Prints:
    """Instead of a server of processes: each command ends like this."""

    def __init__(self, code=0, out="", err=""):
        self.ended = Ended(code, out, err, seconds=0.1, peak_bytes=1)

    def run(self, *argv, **options):
        return self.ended


def judged(ended, *argv, tmp_path, allowed=(0,), **given):
    judge, case = Judge(ended, tmp_path, {}), Case("a", 1, 0)
    return judge.judge(case, *argv, allowed=allowed, **given)


@pytest.mark.parametrize(
    ("ended", "column"),
    [
        (Prints(code=3, err="error: no"), "wrong exit"),
        (Prints(code=4, err=""), "wrong exit"),
        (Prints(code=4, err="error: it is damaged"), "wrong exit"),
        (Prints(code=4, err="error: RecursionError: deep in net.safetensors"), "wrong exit"),
        (Prints(err="Traceback (most recent call last):\n  File"), "traceback"),
        (Prints(err="a\x1b[31m"), "unnoticed"),
        (Prints(out='{"a": NaN}'), "unnoticed"),
        (Prints(out="{} {}"), "unnoticed"),
        (Prints(out='{"top1_error": 2}'), "unnoticed"),
    ],
)
def test_the_judge_sees(ended, column, tmp_path):
    like = Prints(out='{"top1_error": 1}').ended
    with pytest.raises(Failed) as failed:
        judged(
            ended, "eval", "--json", tmp_path=tmp_path, allowed=(0, 4), names=["net.safetensors"], like=like
        )
    assert failed.value.column == column


def test_the_judge_is_content(tmp_path):
    assert judged(
        Prints(code=4, err="error: a.json is damaged"),
        "show",
        tmp_path=tmp_path,
        allowed=(4,),
        names=["a.json"],
    )
    like = Prints(out='{"top1_error": 1, "inference_seconds": 2}').ended
    judged(
        Prints(out='{"inference_seconds": 3, "top1_error": 1}'),
        "eval",
        "--json",
        tmp_path=tmp_path,
        like=like,
    )


def test_times_and_places_are_no_findings():
    assert essence(Prints(out='{"seconds": 1, "rows": [{"path": "a", "n": 1}]}').ended) == {
        "rows": [{"n": 1}]
    }


def test_damage_is_another_content_and_the_same_again():
    data = bytes(range(250)) * 4
    for number in range(200):
        changed, what = damaged(random.Random(number), data)
        assert (changed, what) == damaged(random.Random(number), data)
        assert changed != data or "swapped" in what or "is 0x" in what or "zeros" in what


def test_a_changed_document_is_another_one():
    document = {"a": 1, "b": {"c": [1, 2.5, "x"], "d": None}}
    changed = [change(random.Random(number), document) for number in range(300)]
    assert document == {"a": 1, "b": {"c": [1, 2.5, "x"], "d": None}}
    assert sum(one.text == dumps(document) for one in changed) < 30
    assert len({one.what for one in changed}) > 150


def test_what_is_signed_anew_passes_the_hash(net8, tmp_path):
    """Else all that comes behind it would never be met."""
    path = tmp_path / "net.safetensors"
    weights = Weights.read(net8.read_bytes())
    weights.metadata["class_names"] = json.dumps(["a"] * 8)
    path.write_bytes(weights.write())
    assert CheckpointHeader.read(path).metadata["class_names"] == ["a"] * 8
    path.write_bytes(weights.write().replace(b'"a\\"', b'"b\\"', 1))
    with pytest.raises(Exception, match="content_sha256"):
        CheckpointHeader.read(path)
