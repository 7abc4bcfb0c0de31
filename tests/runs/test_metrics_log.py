"""Reading metrics.jsonl."""

import pytest

from rescli.errors import CheckpointError
from rescli.runs.metrics_log import read_metrics


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1}\n{"itera')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"iteration": 1}]


@pytest.mark.parametrize("content", [b"{\n", b"\xff\n"])
def test_a_damaged_log_is_named(tmp_path, content):
    (tmp_path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl cannot be read"):
        read_metrics(tmp_path / "metrics.jsonl")
