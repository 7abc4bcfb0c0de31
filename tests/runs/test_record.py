"""A record is read whole or not at all: what is wrong in it is named."""

import json

import pytest

from rescli.errors import CheckpointError
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import read_record

RECORD = {
    "status": "finished",
    "started": "2026-01-02T03:04:05+00:00",
    "resumed_at": [4],
    "train_seconds": 3,
    "images_per_second": None,
    "results": {
        "train": {"iteration": 6, "loss": 2.5, "top1_error": 80, "selection": "last"},
        "val": {"top1_error": 81.5, "interval95": [70.0, 90.0], "best_val": {"iteration": 3}},
    },
    "written_by_a_later_version": [{}],
}


def test_a_whole_record_comes_back_as_it_is(tmp_path):
    (tmp_path / "record.json").write_text(json.dumps(RECORD))
    assert read_record(RunDir(tmp_path)) == RECORD


WHOLE = json.dumps(RECORD)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (WHOLE[: len(WHOLE) // 2], "is damaged"),
        ("", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("\xff\xfe", "is damaged"),
        ("[]", r"is damaged: it is a list of 0; allowed: an object"),
        ("{}", "is damaged: results is missing"),
        ('{"results": []}', r"is damaged: results is a list of 0; allowed: an object"),
        (json.dumps({**RECORD, "resumed_at": 4}), "is damaged: resumed_at is 4; allowed: a list"),
        (
            json.dumps({**RECORD, "train_seconds": "long"}),
            "is damaged: train_seconds is 'long'; allowed: a number",
        ),
        (
            json.dumps({**RECORD, "iterations_done": True}),
            "is damaged: iterations_done is true; allowed: a whole number",
        ),
        (
            WHOLE.replace("81.5", "NaN"),
            r"is damaged: results\.val\.top1_error is NaN; allowed: a finite number",
        ),
        (WHOLE.replace("81.5", "-1"), r"is damaged: results\.val\.top1_error is -1; allowed: 0 to 100"),
        (
            WHOLE.replace("81.5", "1e999"),
            r"is damaged: results\.val\.top1_error is Infinity; allowed: a finite",
        ),
        ('{"results": {"train": "x"}}', r"is damaged: results\.train is 'x'; allowed: an object"),
        ('{"results": {}, "results": {}}', "is damaged: the key 'results' stands twice"),
        ('{"results": {}, "name": "\\ud800"}', "is damaged: .* holds an unpaired surrogate"),
        (
            json.dumps({"results": {"val": {"interval95": [-1, 3]}}}),
            r"is damaged: results\.val\.interval95\[0\] is -1; allowed: 0 to 100",
        ),
        (
            WHOLE.replace('{"iteration": 3}', "3"),
            r"is damaged: results\.val\.best_val is 3; allowed: an object",
        ),
    ],
)
def test_a_damaged_record_is_named_with_what_to_type_next(tmp_path, content, says):
    (tmp_path / "record.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=rf"record\.json {says}") as caught:
        read_record(RunDir(tmp_path))
    assert caught.value.exit_code == 4
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("resume", str(tmp_path))


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such file: .*record\.json"):
        read_record(RunDir(tmp_path))
