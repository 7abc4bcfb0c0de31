"""``rescli train`` from argv to the run directory, and everything that can go wrong on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pytest
from safetensors.torch import load_file


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_leaves_a_directory_that_a_person_can_read(rescli, tiny, tmp_path):
    answer = rescli("train", *tiny, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    run = tmp_path / "run"
    names = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    state = next(name for name in names if name.startswith("state/") and name.endswith(".safetensors"))
    assert names == [
        ".lock",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "curves.png",
        "metrics.jsonl",
        "record.json",
        "spec.toml",
        state,
        "state/latest.json",
    ]
    assert tomllib.loads((run / "spec.toml").read_text())["iterations"] == 12
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "finished"
    assert record["iterations_done"] == 12
    assert record["images_per_second"] > 0
    assert record["results"]["val"]["selection"] == "last"
    assert record["results"]["val"]["protocol"] == "single"
    assert record["results"]["val"]["num_images"] == 50
    assert "test" not in record["results"], "nobody opened the test set"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if row["event"] == "train"] == [3, 6, 9, 12]
    assert [row["iteration"] for row in rows if row["event"] == "val"] == [5, 10, 12]


def test_json_is_one_object_on_stdout_and_progress_is_on_stderr(rescli, tiny, tmp_path):
    answer = rescli("train", *tiny, "--out", tmp_path / "run", "--json")
    assert answer.json["iterations_done"] == 12
    assert "iteration" in answer.err
    quiet = rescli("train", *tiny, "--out", tmp_path / "again", "--json", "--quiet")
    assert quiet.err == ""


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(rescli, tiny, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert rescli("train", *tiny, "--seed", seed, "--out", tmp_path / name, "-q").code == 0
    weights = [load_file(tmp_path / name / "checkpoints" / "last.safetensors") for name in "abc"]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert not weights[0]["fc.weight"].equal(weights[2]["fc.weight"])


def test_a_run_directory_is_not_overwritten(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "run", "-q")
    before = (tmp_path / "run" / "record.json").read_bytes()
    answer = rescli("train", *tiny, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "holds a run already" in answer.err
    assert (tmp_path / "run" / "record.json").read_bytes() == before


def test_its_own_spec_file_begins_another_run_like_it(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "a", "-q")
    rescli("train", tmp_path / "a" / "spec.toml", "--device", "cpu", "--out", tmp_path / "b", "-q")
    one, other = (json.loads((tmp_path / name / "record.json").read_text()) for name in "ab")
    assert one["spec_sha256"] == other["spec_sha256"]
    assert one["results"] == other["results"]


def test_a_finished_run_can_be_resumed_and_nothing_changes(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "run", "-q")
    before = (tmp_path / "run" / "checkpoints" / "last.safetensors").read_bytes()
    answer = rescli("train", "--resume", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["iterations_done"] == 12
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").read_bytes() == before


def test_resume_refuses_another_spec_and_allows_the_same(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "run", "-q")
    answer = rescli("train", "--resume", tmp_path / "run", "--set", "optimizer.lr=0.3")
    assert answer.code == 2
    assert "another spec; these keys differ: optimizer.lr" in answer.err
    answer = rescli("train", "--resume", tmp_path / "run", "--iterations", "24")
    assert answer.code == 2
    assert "these keys differ: iterations" in answer.err
    assert rescli("train", *tiny, "--resume", tmp_path / "run", "-q").code == 0


@pytest.mark.parametrize("flag", [["--out", "elsewhere"], ["--budget", "1m"], ["--dry-run"]])
def test_resume_goes_alone(rescli, tmp_path, flag):
    answer = rescli("train", "--resume", tmp_path, *flag)
    assert answer.code == 2
    assert f"{flag[0]} does not go with --resume" in answer.err


def test_resuming_what_is_no_run(rescli, tmp_path):
    answer = rescli("train", "--resume", tmp_path / "nothing")
    assert answer.code == 2
    assert "does not exist" in answer.err


def test_a_damaged_state_is_refused_with_exit_4(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "run", "-q")
    state = next((tmp_path / "run" / "state").glob("*.safetensors"))
    data = bytearray(state.read_bytes())
    data[-1] ^= 1
    state.write_bytes(data)
    answer = rescli("train", "--resume", tmp_path / "run")
    assert answer.code == 4
    assert "damaged" in answer.err
    assert "begin again with: rescli train" in answer.err
    assert state.read_bytes() == data


def test_a_run_killed_before_its_first_state_begins_again(rescli, tiny, tmp_path):
    rescli("train", *tiny, "--out", tmp_path / "whole", "-q")
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(tmp_path / "whole" / "spec.toml", run)
    (run / "metrics.jsonl").write_text('{"event": "train", "itera')
    answer = rescli("train", "--resume", run, "--device", "cpu", "--json")
    assert answer.code == 0, answer.err
    whole, again = (
        load_file(path / "checkpoints" / "last.safetensors") for path in (tmp_path / "whole", run)
    )
    assert all(whole[name].equal(again[name]) for name in whole)


def test_training_goes_on_when_nobody_reads_its_progress(start_rescli, tiny, tmp_path):
    run = tmp_path / "run"
    process = start_rescli("train", *tiny, "--iterations", "300", "--out", run)
    process.stderr.readline()
    process.stderr.close()  # as tee does when it dies of the same Ctrl-C
    while lines(run / "metrics.jsonl") < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process.stdout.close()
    assert json.loads((run / "record.json").read_text())["status"] == "interrupted"
    assert (run / "state" / "latest.json").exists()


def test_the_same_ctrl_c_twice_is_one(start_rescli, tiny, tmp_path):
    run = tmp_path / "run"
    process = start_rescli("train", *tiny, "--iterations", "100000", "--out", run)
    while lines(run / "metrics.jsonl") < 1:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the state is saved" in err
    assert (run / "state" / "latest.json").exists()


def test_a_signal_before_the_first_iteration_leaves_nothing(start_rescli, tiny, tmp_path):
    run = tmp_path / "run"
    process = start_rescli("train", *tiny, "--out", run)
    while not (run / ".lock").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "before the first iteration; nothing was begun" in err
    assert not run.exists()


def test_a_closed_stderr_is_no_reason_to_stop(tiny, tmp_path):
    command = "import os, sys; os.close(2); "
    command += "os.execv(sys.executable, [sys.executable, '-m', 'rescli', *sys.argv[1:]])"
    arguments = ["train", *tiny, "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run([sys.executable, "-c", command, *arguments], stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["status"] == "finished"


@pytest.mark.parametrize("flag", ["--dataset", "--model"])
def test_an_empty_name_is_not_a_default(rescli, flag):
    answer = rescli("train", flag, "", "--dry-run")
    assert answer.code == 2
    assert "''" in answer.err


@pytest.mark.parametrize(
    "setting",
    [
        "iterations=" + "9" * 5000,
        "data.batch_size=100000000",
        "metrics.every=1000000000000",
        "data.dataset.num_train=1000000000000",
        "optimizer.lr=" + "[" * 3000,
        "model.depth=6000002",
    ],
)
def test_numbers_beyond_reason_are_refused_at_once(rescli, setting):
    answer = rescli("train", "shapes/base", "--set", setting, "--dry-run")
    assert answer.code == 2
    assert setting.partition("=")[0] in answer.err


@pytest.mark.parametrize("arguments", [["train"], ["train", "--resume"], ["eval"]])
def test_a_path_beyond_reason_is_refused(rescli, arguments):
    assert rescli(*arguments, "x" * 5000 + ".toml").code in (2, 4)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_saves_and_exits_130_with_the_command_to_go_on(start_rescli, tiny, tmp_path, name):
    run = tmp_path / "run"
    process = start_rescli("train", *tiny, "--iterations", "100000", "--out", run)
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "the state is saved" in err
    assert f"rescli train --resume {run}" in err
    assert "Traceback" not in err
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "interrupted"
    assert record["iterations_done"] > 0
    assert (run / "curves.png").exists()


def test_two_processes_on_one_run_directory(start_rescli, rescli, tiny, tmp_path):
    run = tmp_path / "run"
    first = start_rescli("train", *tiny, "--iterations", "100000", "--out", run)
    try:
        while not (run / "state" / "latest.json").exists():
            assert first.poll() is None, first.communicate()
            time.sleep(0.01)
        for arguments in (["--resume", run], [*tiny, "--out", run]):
            answer = rescli("train", *arguments)
            assert answer.code == 2
            assert f"is in use by process {first.pid}" in answer.err or "holds a run already" in answer.err
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()


def test_divergence_is_exit_5_and_names_the_last_good_checkpoint(rescli, tiny, tmp_path):
    answer = rescli("train", *tiny, "--set", "optimizer.lr=1e30", "--out", tmp_path / "run", "-q")
    assert answer.code == 5
    assert "training diverged" in answer.err
    assert "at iteration" in answer.err
    assert "checkpoint" in answer.err
    assert "the learning rate 1e+30 is far above the paper's 0.1" in answer.err
    assert json.loads((tmp_path / "run" / "record.json").read_text())["status"] == "diverged"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place(rescli, tiny, tmp_path):
    tmp_path.chmod(0o500)
    answer = rescli("train", *tiny, "--out", tmp_path / "run")
    tmp_path.chmod(0o700)
    assert answer.code == 2
    assert "cannot write the run directory" in answer.err


def test_a_disk_that_fills_up_is_exit_4_and_keeps_what_was_saved(rescli, tiny, tmp_path, monkeypatch):
    import rescli.files as files

    real, calls = os.replace, []

    def full_after_the_first_state(source, target):
        calls.append(target)
        if any("latest.json" in str(path) for path in calls[:-1]):
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(files.os, "replace", full_after_the_first_state)
    answer = rescli("train", *tiny, "--out", tmp_path / "run")
    monkeypatch.undo()
    assert answer.code == 4
    assert "No space left on device; what was saved before is untouched" in answer.err
    assert "make room" in answer.err
    assert not list((tmp_path / "run").rglob("*.tmp"))
    again = rescli("train", "--resume", tmp_path / "run", "--json", "-q")
    assert again.code == 0, again.err
    assert again.json["resumed_at"] == [4]


def test_missing_data_is_exit_3_and_leaves_no_directory_behind(rescli, tmp_path):
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)
    answer = rescli("train", "cifar10/resnet-20", "--data-root", tmp_path / "data", "--out", tmp_path / "run")
    assert answer.code == 3
    assert "data_batch_1" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_budget_shortens_the_whole_course_in_proportion(rescli, tiny, tmp_path):
    flags = [*tiny, "--iterations", "100000", "--set", "schedule.milestones=[50000, 75000]"]
    answer = rescli("train", *flags, "--budget", "4s", "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert "scaled: not comparable with published numbers" in answer.err
    assert answer.json["scaled"] is True
    assert answer.json["train_seconds"] < 8
    spec = tomllib.loads((tmp_path / "run" / "spec.toml").read_text())
    assert spec["scaled_from"] == 100000
    assert spec["iterations"] < 100000
    first, second = spec["schedule"]["milestones"]
    assert first == pytest.approx(spec["iterations"] / 2, abs=1)
    assert second == pytest.approx(spec["iterations"] * 3 / 4, abs=1)


@pytest.mark.realdata
def test_one_flipped_byte_in_the_data_is_exit_3(rescli, cifar_root, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    shutil.copytree(cifar_root / "cifar-10-batches-py", folder)
    damaged = bytearray((folder / "data_batch_3").read_bytes())
    damaged[1_000_000] ^= 1
    (folder / "data_batch_3").write_bytes(damaged)
    answer = rescli("train", "cifar10/resnet-20", "--data-root", tmp_path, "--out", tmp_path / "run")
    assert answer.code == 3
    assert "data_batch_3" in answer.err
    (folder / "data_batch_3").unlink()
    answer = rescli("train", "cifar10/resnet-20", "--data-root", tmp_path, "--out", tmp_path / "run")
    assert answer.code == 3
    assert "data_batch_3" in answer.err


@pytest.mark.realdata
def test_a_few_iterations_on_cifar10(rescli, cifar_root, tmp_path):
    flags = ["--dataset", "cifar10", "--depth", 20, "--iterations", 20, "--batch-size", 64, "--device", "cpu"]
    flags += ["--set", "evaluation.every=1000", "--data-root", cifar_root, "--out", tmp_path / "run"]
    answer = rescli("train", *flags, "--json")
    assert answer.code == 0, answer.err
    assert "preset cifar10/resnet-20" in answer.err
    assert answer.json["data"]["num_images"] == {"train": 45000, "val": 5000}
    assert answer.json["results"]["train"]["top1_error"] < 90


def test_training_does_not_wait_for_a_compiler_it_never_uses(tiny, tmp_path):
    # torch._dynamo costs as much time as torch itself; many corners of torch import it in passing.
    program = "import sys; from rescli.cli.app import main\n"
    program += "try: main()\nfinally: print('torch._dynamo' in sys.modules)"
    arguments = ["train", *tiny, "--out", str(tmp_path / "run"), "-q", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_first_step_waits_for_nothing_that_it_does_not_need(tmp_path):
    # Pictures, statistics and photographs come later or never; torch.autograd would import sympy to look at
    # the shape of a gradient it is given.
    program = """
import os, sys
import rescli
unwanted = "sympy torch._dynamo matplotlib torchvision scipy jinja2 rescli.kernels.norm.triton".split()
def look(event):
    if type(event).__name__ == "StepDone":
        print([name for name in unwanted if name in sys.modules], "torch" in sys.modules, flush=True)
        os._exit(0)
small = {"iterations": 2, "data.batch_size": 16, "data.dataset.num_train": 64}
rescli.train("quickstart", changes=small, out=sys.argv[1], device="cpu", progress=False, on_event=look)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] True\n"
