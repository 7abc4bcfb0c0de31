import json
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.shapes.images import make_shapes

SIZES = {"num_train": 200, "num_val": 50, "num_test": 60}


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Runs of about a second."""
    monkeypatch.chdir(tmp_path)
    sets = [f"data.dataset.{key}={value}" for key, value in SIZES.items()]
    sets += ["evaluation.every=5", "checkpoint.every=4", "metrics.every=3"]
    return [
        *("--dataset", "shapes", "--iterations", "12", "--batch-size", "16", "--device", "cpu", "-q"),
        *(part for pair in sets for part in ("--set", pair)),
    ]


def wrong(path, split):
    images = make_shapes(seed=0, **SIZES, splits=(split,))[split]
    checkpoint = Checkpoint.read(path)
    with torch.inference_mode():
        logits = checkpoint.build_model()(checkpoint.normalization.apply(images.images_NHWC))
    return (logits.argmax(1) != images.labels_N).numpy()


def test_what_is_missing_is_trained_and_the_statistics_are_scipys(rescli, flags, tmp_path):
    # At the recipe's own rate so short a run may end in one answer for all images, whatever the seed.
    flags = [*flags, "--set", "optimizer.lr=0.02", "--precision", "fp32"]
    answer = rescli("compare", "plain-8", "resnet-8", "--seeds", 3, *flags, "--json")
    assert answer.code == 0, answer.err
    plain, resnet = answer.json["contenders"]
    assert [len(one["runs"]) for one in (plain, resnet)] == [3, 3]
    assert plain["params"] == resnet["params"]
    (pair,) = answer.json["pairs"]
    for split in ("test", "train"):
        first, second = (
            [wrong(tmp_path / run["checkpoint"], split) for run in one["runs"]] for one in (plain, resnet)
        )
        b, c = int((first[0] & ~second[0]).sum()), int((~first[0] & second[0]).sum())
        images = pair[split]["images"]
        assert (images["only_first_wrong"], images["only_second_wrong"]) == (b, c)
        assert images["p_mcnemar"] == pytest.approx(stats.binomtest(b, b + c).pvalue)
        errors = [[100 * w.mean() for w in side] for side in (first, second)]
        key = f"{split}_error"
        assert plain[key]["mean"] == pytest.approx(np.mean(errors[0]))
        assert plain[key]["std"] == pytest.approx(np.std(errors[0], ddof=1))
        welch = stats.ttest_ind(*errors, equal_var=False)
        assert pair[split]["seeds"]["p_welch"] == pytest.approx(welch.pvalue)
    out = tmp_path / answer.json["out"]
    assert json.loads((out / "compare.json").read_text())["pairs"] == answer.json["pairs"]
    with Image.open(out / "curves.png") as picture:
        assert picture.format == "PNG"
    assert "<svg" in (out / "curves.svg").read_text()
    assert len(plain["responses"]["layers"]) == 7
    with Image.open(out / "responses.png") as picture:
        assert picture.format == "PNG"
    assert "plain-8 vs resnet-8" in (out / "report.html").read_text()


def test_the_plain_net_and_its_twin_start_from_the_same_tensors(rescli, flags, tmp_path):
    answer = rescli("compare", "plain-8", "resnet-8", *flags, "--json")
    from rescli.runs.directory import RunDir

    initial = []
    for one in answer.json["contenders"]:
        run_dir = RunDir.of_checkpoint(tmp_path / one["runs"][0]["checkpoint"])
        spec = run_dir.read_spec()
        initial.append(spec.model.build(num_classes=10, image_size=32, seed=spec.seed).state_dict())
    assert initial[0].keys() == initial[1].keys()
    assert all(torch.equal(initial[0][name], initial[1][name]) for name in initial[0])


def test_finished_runs_are_used_again_and_the_answer_is_the_same(rescli, flags, monkeypatch):
    first = rescli("compare", "plain-8", "resnet-8", *flags, "--json")
    import rescli.studies.queue as campaign

    def refuse(*_, **__):
        raise AssertionError("training")

    monkeypatch.setattr(campaign, "execute", refuse)
    monkeypatch.setattr(campaign, "assemble", refuse)
    again = rescli("compare", "plain-8", "resnet-8", *flags, "--json")
    assert again.code == 0, again.err
    assert again.json == first.json
    text = rescli("compare", "plain-8", "resnet-8", *flags).out
    assert "exact McNemar p" in text
    assert "With one seed a side" in text


def test_killed_anywhere_and_started_again_it_ends_with_the_same_answer(
    rescli, start_rescli, flags, tmp_path
):
    whole = rescli("compare", "plain-8", "resnet-8", *flags, "--json").json
    shutil.move(tmp_path / "runs", tmp_path / "kept")
    # When the first run has saved a state and when the second has, however slow the machine is: each
    # time something is done and something is left to do.
    for saved in (1, 2):
        process = start_rescli("compare", "plain-8", "resnet-8", *flags, cwd=tmp_path)
        deadline = time.monotonic() + 300
        while len(list(tmp_path.glob("runs/*/state/latest.json"))) < saved:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    again = rescli("compare", "plain-8", "resnet-8", *flags, "--json").json

    def without_time(result):
        for one in result["contenders"]:
            for row in (one, *one["runs"]):
                row["train_seconds"] = row["images_per_second"] = None
        return result

    assert without_time(again) == without_time(whole)


def test_checkpoints_and_run_directories_can_be_mixed_with_names(rescli, flags, tmp_path):
    first = rescli("compare", "plain-8", "resnet-8", *flags, "--json").json
    run = tmp_path / first["contenders"][0]["runs"][0]["checkpoint"]
    alone = tmp_path / "alone.safetensors"
    shutil.copy(run, alone)
    answer = rescli("compare", alone, run.parent.parent, "resnet-8", *flags, "--json")
    assert answer.code == 0, answer.err
    rows = answer.json["contenders"]
    assert [row["model"] for row in rows] == ["plain-8", "plain-8", "resnet-8"]
    assert rows[0]["val_error"] is None
    assert rows[0]["test_error"] == rows[1]["test_error"] == first["contenders"][0]["test_error"]
    same = answer.json["pairs"][0]
    assert (same["test"]["images"]["difference"], same["test"]["images"]["p_mcnemar"]) == (0, 1)
    assert "equally many errors" in same["verdict"][0]


def test_other_test_images_are_not_ranked(rescli, flags, tmp_path):
    first = rescli("compare", "plain-8", "resnet-8", *flags, "--json").json
    run = tmp_path / first["contenders"][0]["runs"][0]["checkpoint"]
    more = [flag.replace("num_test=60", "num_test=70") for flag in flags]
    answer = rescli("compare", run, "resnet-8", *more, "--json")
    assert answer.code == 0, answer.err
    (pair,) = answer.json["pairs"]
    assert pair["reason"] == "different test images"
    assert pair["verdict"] == [f"{pair['first']} and resnet-8 are not ranked: different test images."]


def test_a_budget_shortens_all_alike_is_stamped_and_kept_for_the_next_time(rescli, flags):
    long = [flag.replace("12", "4000") if flag == "12" else flag for flag in flags]
    answer = rescli("compare", "plain-8", "resnet-8", *long, "--budget", "6s", "--json")
    assert answer.code == 0, answer.err
    rows = answer.json["contenders"]
    assert all(row["scaled"] for row in rows)
    steps = [row["runs"][0]["iteration"] for row in rows]
    assert steps[0] == steps[1] < 4000
    again = rescli("compare", "plain-8", "resnet-8", *long, "--budget", "6s", "--json")
    assert again.json == answer.json
    assert "scaled: not comparable" in rescli("compare", "plain-8", "resnet-8", *long, "--budget", "6s").out


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        (("resnet-8",), 2, "two things or more"),
        (("resnet-8", "resnet-8"), 2, "named twice"),
        (("resnet-8", "resnt-8"), 2, "Did you mean 'resnet-8'"),
        (("resnet-8", "resnet-9"), 2, "9 is not 6n+2"),
        (("resnet-8", "gone.safetensors"), 4, "no such checkpoint"),
        (("resnet-8", "."), 2, "holds no checkpoints/last.safetensors"),
        (("resnet-8", "plain-8", "--to", "paper:table9"), 2, "unknown published table"),
        (("resnet-8", "plain-8", "--to", "table6"), 2, "paper:table6"),
        (("resnet-8", "plain-8", "--budget", "soon"), 2, "not a duration"),
        (("resnet-8", "plain-8", "--seeds", 0), 2, "seeds"),
        (
            ("resnet-8", "plain-8", "--set", "model.width=2020-01-01"),
            2,
            "model.width: must be a whole number",
        ),
    ],
)
def test_bad_input_begins_nothing(rescli, flags, tmp_path, given, code, reason):
    answer = rescli("compare", *given, *flags)
    assert answer.code == code
    assert reason in answer.err
    assert answer.out == ""
    assert not (tmp_path / "runs").exists()


def test_curves_are_printed_as_sparklines(rescli, flags):
    answer = rescli("compare", "plain-8", "resnet-8", *flags)
    assert answer.code == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines() if line.startswith(("plain-8  ", "resnet-8  "))]
    drawn = [line for line in lines if line[1] in ("train", "val")]
    assert [line[:2] for line in drawn] == [
        ["plain-8", "train"],
        ["plain-8", "val"],
        ["resnet-8", "train"],
        ["resnet-8", "val"],
    ]
    assert all(set(line[3]) <= set("▁▂▃▄▅▆▇█") for line in drawn)


def test_a_shortened_run_stays_scaled_without_its_record(rescli, flags, tmp_path, caplog):
    long = ["train", "--model", "resnet-8", *flags, "--iterations", "100000", "--budget", "4s"]
    assert rescli(*long, "--out", tmp_path / "run").code == 0
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    (tmp_path / "run" / "record.json").write_text(json.dumps({**record, "train_seconds": "long"}))
    alone = shutil.copy(tmp_path / "run" / "checkpoints" / "last.safetensors", tmp_path / "alone.safetensors")
    answer = rescli(
        "compare", tmp_path / "run", alone, "--json", "--device", "cpu", "--out", tmp_path / "out"
    )
    assert answer.code == 0, answer.err
    assert [one["scaled"] for one in answer.json["contenders"]] == [True, True]
    assert answer.json["contenders"][0]["train_seconds"] is None
    assert (
        "record.json is damaged: train_seconds is 'long'; allowed: a number. It is compared without"
        in caplog.text
    )


def test_a_campaign_mends_a_damaged_record(rescli, flags, tmp_path):
    assert rescli("compare", "resnet-8", "plain-8", *flags).code == 0
    (record,) = tmp_path.glob("**/*resnet-8*/record.json")
    before = json.loads(record.read_text())
    record.write_text(record.read_text()[:300])
    answer = rescli("compare", "resnet-8", "plain-8", *flags, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(record.read_text())["results"]["val"] == before["results"]["val"]
