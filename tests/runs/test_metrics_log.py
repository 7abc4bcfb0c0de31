"""Reading metrics.jsonl."""

import json
import re

import pytest

from rescli.errors import CheckpointError
from rescli.runs.metrics_log import read_metrics


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    row = {"event": "train", "iteration": 1, "loss": 2.3, "top1_error": 90.0}
    (tmp_path / "metrics.jsonl").write_text(f'{json.dumps(row)}\n{{"itera')
    assert read_metrics(tmp_path / "metrics.jsonl") == [row]


WHOLE = '{"event": "val", "iteration": 2, "loss": 2.3, "top1_error": 90.0, "top5_error": null, "best": true'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{\n", "line 1: Expecting"),
        (b"\xff\n", "line 1: 'utf-8'"),
        (b"[]\n", "line 1: it is a list of 0; allowed: an object"),
        (b'{"event": "end"}\n', "line 1: event is 'end'; allowed: 'train' or 'val'"),
        (f"{WHOLE}}}\n".encode(), "line 1: num_images is missing"),
        (f'{WHOLE}, "num_images": -1}}\n'.encode(), "line 1: num_images is -1; allowed: 0 or more"),
        (f'{WHOLE}, "loss": 3}}\n'.encode(), "line 1: the key 'loss' stands twice"),
        (
            WHOLE.replace("90.0", "1e999").encode() + b"}\n",
            "line 1: top1_error is Infinity; allowed: a finite",
        ),
        (WHOLE.replace("2,", "1" * 30 + ",").encode() + b"}\n", "line 1: it holds a whole number of more"),
    ],
)
def test_a_damaged_log_is_named(tmp_path, content, says):
    (tmp_path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"metrics\.jsonl cannot be read: {re.escape(says)}") as caught:
        read_metrics(tmp_path / "metrics.jsonl")
    assert caught.value.hint == "copy it again from where the run was trained"


def test_a_row_is_named_wherever_it_stands(tmp_path):
    whole = f'{WHOLE}, "num_images": 4}}\n'
    path = tmp_path / "metrics.jsonl"
    for row, says in (
        (whole.replace("90.0", '"x"'), "top1_error is 'x'"),
        (f"{WHOLE}}}\n", "num_images is missing"),
        (whole.replace("4}", '4, "later": {"loss": [NaN]}}'), "later.loss[0] is no finite number"),
    ):
        path.write_text(whole.replace('"val"', '"train"') + whole + row + whole)
        with pytest.raises(CheckpointError, match=rf"line 3: {re.escape(says)}"):
            read_metrics(path)


def test_a_log_is_held_against_its_types_at_once(tmp_path, monkeypatch):
    (tmp_path / "metrics.jsonl").write_text(f'{WHOLE}, "num_images": 4}}\n' * 3)
    monkeypatch.setattr("rescli.stored.json_values.as_stored", lambda *_: pytest.fail("row by row"))
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 3
