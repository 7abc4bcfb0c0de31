"""Run directories in which one file is damaged, or says something odd and its hashes hold."""

import hashlib
import json
import shutil
import tomllib

import pytest
from trials.case import faults
from trials.mutate.damage import damaged
from trials.mutate.lines import changed_json_lines, changed_toml
from trials.mutate.values import change
from trials.mutate.weights import Weights

COMMANDS = ("show", "eval", "resume", "longer", "compare", "predict", "export")


@pytest.fixture
def read_by(case, judge, sound, work):
    """Holds one command that reads a run to what is promised."""

    def read(run, allowed, *, of=COMMANDS, name):
        commands = {
            "show": ("show", run, "--json"),
            "eval": ("eval", run, "--split", "val", "--device", "cpu", "--json"),
            "resume": ("train", "--resume", run, "--json", "-q"),
            "longer": ("train", "--resume", run, "--iterations", 6, "--out", work / "longer", "--json", "-q"),
            "compare": ("compare", run, sound.other, "--out", work / "compared", "--device", "cpu", "--json"),
            "predict": ("predict", run, sound.photos / "val/cat/1.png", "--device", "cpu", "--json"),
            "export": ("export", run, "--format", "onnx", "--opset", 99, "--out", work / "net.onnx"),
        }
        command = case.dice.choice(of)
        may = set(allowed) | ({2} if command == "export" else set())
        return command, judge.judge(case, *commands[command], allowed=may, names=[name, run.name])

    return read


def copied(run, work):
    return shutil.copytree(run, work / "run")


@faults(short=2, long=220)
def test_record(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    changed = change(case.dice, json.loads((run / "record.json").read_bytes()))
    case.tries("run: record.json", f"of {run.name}: {changed.what}")
    (run / "record.json").write_bytes(changed.text)
    read_by(run, {0, 2, 4} if not (run / "record.json").stat().st_size else {0, 4}, name="record.json")


@faults(short=1, long=160)
def test_metrics(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    data, what = changed_json_lines(case.dice, (run / "metrics.jsonl").read_bytes())
    case.tries("run: metrics.jsonl", what)
    (run / "metrics.jsonl").write_bytes(data)
    read_by(run, {0, 4}, of=("resume", "longer", "compare", "compare", "show"), name="metrics.jsonl")


@faults(short=1, long=160)
def test_spec(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    data, what = changed_toml(case.dice, tomllib.loads((run / "spec.toml").read_text()))
    case.tries("run: spec.toml", what)
    (run / "spec.toml").write_bytes(data)
    read_by(run, {0, 2, 3, 4}, of=("resume", "longer", "compare", "eval", "show"), name="spec.toml")


@faults(short=0, long=50)
def test_openings(case, sound, work, judge):
    run = copied(sound.run, work)
    line = b'{"opened": "2026-01-01T00:00:00+00:00", "checkpoint": "last.safetensors", "iteration": 4}\n'
    data, what = changed_json_lines(case.dice, line * 3)
    case.tries("run: test_openings.jsonl", what)
    (run / "test_openings.jsonl").write_bytes(data)
    command = case.dice.choice(
        (
            ("show", run, "--json"),
            ("eval", run, "--device", "cpu", "--json"),
            ("compare", run, sound.other, "--out", work / "compared", "--device", "cpu", "--json"),
        )
    )
    judge.judge(case, *command, allowed={0, 4}, names=["test_openings.jsonl"])


@faults(short=0, long=80)
def test_pointer(case, sound, work, read_by):
    run = copied(sound.half, work)
    path = run / "state" / "latest.json"
    if case.dice.random() < 0.3:
        data, what = damaged(case.dice, path.read_bytes())
    else:
        changed = change(case.dice, json.loads(path.read_bytes()))
        data, what = changed.text, changed.what
    case.tries("run: state/latest.json", what)
    path.write_bytes(data)
    read_by(run, {0, 4}, of=("resume", "show"), name="state")


@faults(short=0, long=40)
def test_data_root(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    path = run / "state" / "data_root.json"
    changed = change(case.dice, {"data_root": str(work)})
    case.tries("run: state/data_root.json", changed.what)
    path.write_bytes(changed.text)
    read_by(run, {0, 3, 4}, of=("resume", "eval", "longer"), name="data_root.json")


def rewritten_state(run, data):
    """The state with other bytes, and a pointer whose hash holds."""
    (old,) = (run / "state").glob("*.safetensors")
    old.write_bytes(data)
    pointer = {"file": old.name, "sha256": hashlib.sha256(data).hexdigest()}
    (run / "state" / "latest.json").write_text(json.dumps(pointer))


@faults(short=0, long=60)
def test_state_bytes(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    (path,) = (run / "state").glob("*.safetensors")
    data, what = damaged(case.dice, path.read_bytes())
    case.tries("run: state, damaged", what)
    path.write_bytes(data)
    command, ended = read_by(run, {0, 4}, of=("resume", "longer"), name="state")
    if ended.code == 0 and (command == "longer" or run.name == "half"):
        raise case.fails("unnoticed", f"a run went on from it: {ended.err[-1500:]}")


@faults(short=1, long=220)
def test_state(case, sound, work, read_by):
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    (path,) = (run / "state").glob("*.safetensors")
    weights = Weights.read(path.read_bytes())
    way = case.dice.randrange(4)
    if way == 0:
        what = weights.change_tensors(case.dice)
        data = weights.write()
    elif way == 1:
        data, what = weights.change_frame(case.dice)
    else:
        what = weights.change_metadata(case.dice).what
        data = weights.write()
    case.tries("run: state, signed anew", what)
    rewritten_state(run, data)
    read_by(run, {0, 2, 3, 4}, of=("resume", "longer"), name="state")


@faults(short=1, long=60)
def test_missing(case, sound, work, read_by):
    """A file is gone, empty, or something that is no file."""
    run = copied(case.dice.choice((sound.run, sound.half)), work)
    path = case.dice.choice(sorted(path for path in run.rglob("*") if path.name != ".lock"))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    way = case.dice.choice(("gone", "empty", "a folder", "a link to itself", "a pipe", "a link to /dev/zero"))
    case.tries("run: a file of it", f"{path.relative_to(run)} is {way}")
    {
        "gone": lambda: None,
        "empty": lambda: path.write_bytes(b""),
        "a folder": path.mkdir,
        "a link to itself": lambda: path.symlink_to(path),
        "a pipe": lambda: __import__("os").mkfifo(path),
        "a link to /dev/zero": lambda: path.symlink_to("/dev/zero"),
    }[way]()
    read_by(run, {0, 2, 4}, name=run.name)


@faults(short=0, long=30)
def test_found_again(case, judge, sound, work):
    """One of the runs that compare would use again is damaged."""
    runs = shutil.copytree(sound.compared, work / "runs")
    places = [path for path in runs.rglob("*") if path.is_file() and path.name != ".lock"]
    place = case.dice.choice(sorted(places, key=lambda path: (path.suffix, path.name)))
    data, what = damaged(case.dice, place.read_bytes())
    if place.suffix == ".json" and case.dice.random() < 0.7:
        changed = change(case.dice, json.loads(place.read_bytes()))
        data, what = changed.text, changed.what
    case.tries("runs found again", f"{place.relative_to(runs)}: {what}")
    place.write_bytes(data)
    command = (*sound.comparison, "--runs", runs, "--out", work / "compared", "--json")
    judge.judge(case, *command, allowed={0, 2, 4}, names=["runs/"], seconds=30)


@faults(short=0, long=20)
def test_results(case, judge, sound, work):
    """What ``export --results`` reads: the JSON of an evaluation."""
    evaluated = judge.remember("results", "eval", sound.net, "--split", "val", "--device", "cpu", "--json")
    document = json.loads(evaluated.out)
    changed = change(case.dice, document)
    case.tries("results of an evaluation", changed.what)
    path = work / "results.json"
    path.write_bytes(changed.text)
    out = work / "net.safetensors"
    command = (
        "export",
        sound.net,
        "--format",
        "safetensors",
        "--results",
        path,
        "--check-images",
        10,
        "--out",
        out,
    )
    ended = judge.judge(case, *command, allowed={0, 2}, names=["results.json"], seconds=40)
    if ended.code == 0:
        judge.judge(
            case, "predict", out, sound.photos / "val/cat/1.png", "--device", "cpu", "--json", allowed={0}
        )
