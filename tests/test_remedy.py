"""What errors suggest can be done: in Python as in the command line."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli
from rescli import registry
from rescli.cli.output.wording import in_flags
from rescli.cli.remedies import COMMANDS, as_flag, next_steps
from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import RescliError, SpecError, UsageError
from rescli.remedy import ACTIONS, Remedy
from rescli.workflows.analyze import layer_responses
from rescli.workflows.bench import bench
from rescli.workflows.data.pack import pack
from rescli.workflows.data.prepare_imagenet import prepare_imagenet
from rescli.workflows.import_weights import import_weights
from rescli.workflows.notes import with_notes

ROOT = Path(__file__).resolve().parent.parent

_TRAIN = (rescli.train,)
_STUDIES = (rescli.compare, rescli.reproduce)
_EVAL = (rescli.evaluate,)
_DATA = (rescli.train, rescli.evaluate, *_STUDIES)

SERVES: dict[str, tuple[Callable[..., object], ...]] = {
    "rescli/checkpoints": _TRAIN,
    "rescli/data": _DATA,
    "rescli/data/photos/loader.py": (rescli.train, *_STUDIES),
    "rescli/data/folders": _TRAIN,
    "rescli/data/folders/read.py": _EVAL,
    "rescli/data/photos/probe.py": (rescli.train, *_STUDIES),
    "rescli/diagnosis": _TRAIN,
    "rescli/evaluation": _EVAL,
    "rescli/evaluation/classes.py": (rescli.evaluate, rescli.export),
    "rescli/evaluation/protocols.py": (rescli.evaluate, rescli.predict),
    "rescli/exporters": (rescli.export,),
    "rescli/hardware": (rescli.train, rescli.evaluate, *_STUDIES, bench),
    "rescli/hardware/launcher.py": _TRAIN,
    "rescli/hardware/ranks.py": _TRAIN,
    "rescli/importers": (import_weights,),
    "rescli/models": (rescli.spec,),
    "rescli/runs": _TRAIN,
    "rescli/runs/budget": (rescli.train, *_STUDIES),
    "rescli/spec": (rescli.spec, bench),
    "rescli/spec/data_root.py": _DATA,
    "rescli/studies": _STUDIES,
    "rescli/studies/evidence": (rescli.reproduce, rescli.reproduction_status),
    "rescli/studies/responses.py": (layer_responses,),
    "rescli/training": _TRAIN,
    "rescli/training/engines": (rescli.train, rescli.resume, bench),
    "rescli/workflows/data/pack.py": (pack,),
    "rescli/workflows/data/prepare_imagenet.py": (prepare_imagenet,),
    "rescli/workflows/export.py": (rescli.export,),
    "rescli/workflows/import_weights.py": (import_weights,),
    "rescli/workflows/reproduce.py": (rescli.reproduce,),
    "rescli/workflows/trust": (rescli.verify_resume,),
}
"""A file or folder to the functions whose errors come from it; the longest name counts."""

NOT_IN_PYTHON = {("rescli/spec/from_names.py", "model"), ("rescli/diagnosis/speed.py", "nproc")}
"""A model beside a depth, and several processes: only the command line takes them."""


def _suggested() -> list[tuple[str, str]]:
    """File and setting of each remedy in the source."""
    found = set()
    for path in (ROOT / "rescli").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith("rescli/cli/") or file == "rescli/remedy.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Remedy":
                assert isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}"
                found.add((file, str(node.args[0].value)))
    return sorted(found)


def _is_key(setting: str) -> bool:
    if setting.startswith("data.dataset."):
        return setting.removeprefix("data.dataset.") in ImageFolderSpec.model_fields
    known = {"model.depth": 20, "precision": "fp32", "data.skip_damaged": True}
    try:
        rescli.spec("cifar10/resnet-110", {setting: known.get(setting, 1)})
    except SpecError:
        return False
    return True


@pytest.mark.parametrize(("file", "setting"), _suggested())
def test_every_setting_is_an_argument_of_who_was_called_or_a_key(file: str, setting: str) -> None:
    if setting in ACTIONS or (file, setting) in NOT_IN_PYTHON:
        return
    place = max((place for place in SERVES if file.startswith(place)), key=len)
    for function in SERVES[place]:
        parameters = inspect.signature(function).parameters
        assert setting in parameters or ("changes" in parameters and _is_key(setting)), function.__name__


def test_every_action_is_a_command_and_a_call() -> None:
    assert ACTIONS.keys() == COMMANDS.keys()
    for action in ACTIONS:
        words = as_flag(Remedy(action, "x", "y")).split()
        assert words[0] in ("rescli", "--from")
        assert words[0] != "rescli" or words[1] in registry.names("commands")


@pytest.mark.parametrize("action", ACTIONS)
def test_the_call_of_an_action_binds(action: str) -> None:
    """Every function in it is there and takes what it is given; words in capitals stand for anything."""
    names: dict[str, Any] = {"rescli": rescli}
    needed = {"model": "resnet-8", "dataset": "shapes"} if action == "import_exported" else {}
    tree = ast.parse(str(Remedy(action, "x", also=needed)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            names |= {alias.name: getattr(module, alias.name) for alias in node.names}
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and re.fullmatch(rf"({'|'.join(names)})[.\w]*", ast.unparse(node.func))
    ]
    assert calls
    for call in calls:
        function = eval(ast.unparse(call.func), names)
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        inspect.signature(function).bind(*call.args, **keywords)


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("train", ["--batch-size 64", "--precision fp32", "--skip-damaged"]),
        ("compare", ["--batch-size 64", "--precision fp32", "--set data.skip_damaged=true"]),
        ("reproduce", ["--set data.batch_size=64", "--set precision=fp32", "--set data.skip_damaged=true"]),
        ("eval", ["--batch-size 64", "--precision fp32", "--skip-damaged"]),  # it has no --set
    ],
)
def test_a_key_is_the_flag_that_the_command_has(command: str, typed: list[str]) -> None:
    parameters = inspect.signature(registry.load("commands", command)).parameters
    keys = [Remedy("data.batch_size", 64), Remedy("precision", "fp32"), Remedy("data.skip_damaged")]
    assert [as_flag(key, parameters) for key in keys] == typed


def test_commands_follow_a_sentence_and_flags_are_tried() -> None:
    again = UsageError("no", hint="begin again with", remedy=Remedy("train_anew", "x/spec.toml"))
    mixed = UsageError("no", hint="it needs val", remedy=[Remedy("list_presets"), Remedy("device", "cpu")])
    for error, line in (
        (again, "begin again with: rescli train x/spec.toml --out NEW_DIR"),
        (mixed, "it needs val\n  try: rescli presets\n  --device cpu"),
    ):
        with pytest.raises(UsageError) as raised, in_flags({}):
            raise error
        assert next_steps(raised.value) == f"\n  {line}"


def _notes(error: RescliError, function: Callable[..., object]) -> list[str]:
    with pytest.raises(type(error)) as raised:
        function(error)
    return list(getattr(raised.value, "__notes__", []))


@with_notes
def _with_changes(error: RescliError, *, changes: object = None, device: str = "auto") -> None:
    del changes, device
    raise error


@with_notes
def _with_precision(error: RescliError, *, precision: str = "auto") -> None:
    del precision
    raise error


def test_a_key_is_worded_as_an_argument_of_the_function_that_was_called() -> None:
    error = UsageError("no", remedy=[Remedy("data.batch_size", 64), Remedy("device", "cpu")])
    assert _notes(error, _with_changes) == ['try: changes={"data.batch_size": 64}', 'try: device="cpu"']
    precision = Remedy("precision", "fp32")
    assert _notes(UsageError("no", remedy=precision), _with_changes) == ['try: changes={"precision": "fp32"}']
    assert _notes(UsageError("no", remedy=precision), _with_precision) == ['try: precision="fp32"']


def test_settings_that_go_together_are_said_as_one() -> None:
    skipping = {"data_root": "photos", "data.skip_damaged": True, "device": None}
    assert str(Remedy("train_anew", "x", also=skipping)) == (
        'rescli.train("x", changes={"data.skip_damaged": True}, out="NEW_DIR", data_root="photos")'
    )
    assert str(Remedy("resume", "x", also=skipping)) == (
        'rescli.resume("x", data_root="photos", skip_damaged=True)'
    )
    assert str(Remedy("resume", "x", "goes on", also={"nproc": 2})) == (
        'rescli.resume("x") (goes on; in 2 processes, as torchrun begins them)'
    )
    both = UsageError("no", remedy=Remedy("data.batch_size", 64, also={"optimizer.lr": 0.1, "device": "cpu"}))
    assert _notes(both, _with_changes) == [
        'try: changes={"data.batch_size": 64, "optimizer.lr": 0.1}, device="cpu"'
    ]


def test_try_stands_before_what_can_be_done_and_a_hint_is_a_sentence() -> None:
    hinted = UsageError("no", hint="no checkpoint was written yet", remedy=Remedy("optimizer.lr", 0.1))
    assert _notes(hinted, _with_changes) == [
        "no checkpoint was written yet",
        'try: changes={"optimizer.lr": 0.1}',
    ]
    leading = UsageError("no", hint="begin again with", remedy=Remedy("train_anew", "x/spec.toml"))
    assert _notes(leading, _with_changes) == [
        "begin again with:",
        'try: rescli.train("x/spec.toml", out="NEW_DIR")',
    ]


def test_a_precision_that_does_not_go_here_is_advised_as_the_function_has_it(tmp_path: Path) -> None:
    spec = rescli.spec("quickstart", {"precision": "fp16"})
    with pytest.raises(UsageError, match="fp16") as raised:
        rescli.train(spec, out=tmp_path / "run", device="cpu")
    assert raised.value.__notes__[:1] == ['try: changes={"precision": "auto"}']


def test_a_data_set_is_chosen_with_the_spec_where_the_function_takes_one() -> None:
    remedy = Remedy("dataset", "imagefolder", also={"classes": "wnids", "data.batch_size": 8})
    spec = 'rescli.spec(..., dataset="imagefolder")'
    assert remedy.worded({"spec", "changes"}) == f'{spec}, changes={{"data.batch_size": 8}}'
    of_evaluation = Remedy("dataset", "imagefolder", also={"classes": "wnids"})
    assert of_evaluation.worded({"nets", "dataset", "classes"}) == 'dataset="imagefolder", classes="wnids"'
    assert Remedy("dataset", "shapes").worded({"operands", "dataset", "changes"}) == 'dataset="shapes"'
