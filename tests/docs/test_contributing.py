"""Every plugin of CONTRIBUTING.md is run, as the page gives it, under the name that the page gives it."""

from __future__ import annotations

import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rescli import registry

PAGE = "CONTRIBUTING.md"


class Plugin:
    """A section's entry point, and the object that its module defines."""

    def __init__(self, group: str, name: str, module: str, value: Any) -> None:
        self.group, self.name, self.module, self.value = group, name, module, value

    @contextmanager
    def registered(self) -> Iterator[None]:
        with registry.override(self.group, self.name, self.value):
            yield


@pytest.fixture
def plugin(
    blocks_of: Callable[..., Any], run_block: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Plugin]:
    """``plugin("A model")`` of the section with that heading."""

    def make(heading: str) -> Plugin:
        declared, source = (block for block in blocks_of(PAGE) if block.heading == heading)
        assert (declared.language, source.language) == ("toml", "python")
        ((group, points),) = tomllib.loads(declared.code)["project"]["entry-points"].items()
        ((name, target),) = points.items()
        module_name, _, attribute = target.partition(":")
        module = types.ModuleType(module_name)
        monkeypatch.setitem(sys.modules, module_name, module)  # a class may be asked where it was made
        run_block(source, module.__dict__)
        return Plugin(group.removeprefix("rescli."), name, module_name, getattr(module, attribute))

    return make


def test_every_kind_of_plugin_has_a_section(
    blocks_of: Callable[..., Any], plugin: Callable[[str], Plugin]
) -> None:
    headings = {block.heading for block in blocks_of(PAGE) if block.language == "toml"}
    assert {plugin(heading).group for heading in headings} == set(registry.GROUPS)


def test_a_command(plugin: Callable[[str], Plugin], rescli: Callable[..., Any]) -> None:
    with plugin("A command").registered():
        answer = rescli("classes", "shapes")
    assert answer.code == 0
    assert "triangle" in answer.out.splitlines()


@pytest.mark.parametrize(
    ("heading", "flags"),
    [
        ("A model", ["--model", "tinynet", "--set", "model.channels=32"]),
        ("A block", ["--set", "model.block=dropout"]),
        ("A data set", ["--set", "data.dataset=stripes"]),
        ("An optimizer", ["--set", "optimizer=adamw"]),
        ("A schedule", ["--set", "schedule={kind = 'halving', every = 4}"]),
    ],
)
def test_a_spec_is_trained_resumed_and_evaluated(
    heading: str,
    flags: list[str],
    plugin: Callable[[str], Plugin],
    rescli: Callable[..., Any],
    tiny: list[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with plugin(heading).registered():
        trained = rescli("train", *tiny, *flags, "--out", run, "--json", "--quiet")
        assert trained.code == 0, trained.err
        assert trained.json["status"] == "finished"
        assert trained.json["results"]["train"]["iteration"] == 12
        assert rescli("train", "--resume", run, "--quiet").code == 0
        assert rescli("eval", run, "--split", "val", "--device", "cpu", "--json").code == 0


def test_a_schedule_changes_the_learning_rate(
    plugin: Callable[[str], Plugin], rescli: Callable[..., Any], tiny: list[str]
) -> None:
    with plugin("A schedule").registered():
        flags = ["--set", "schedule={kind = 'halving', every = 4}", "--dry-run", "--json"]
        plan = rescli("train", *tiny, *flags).json["plan"]
    assert [change["lr"] for change in plan["lr"]] == [0.1, 0.05, 0.025]


def test_a_protocol(plugin: Callable[[str], Plugin], rescli: Callable[..., Any], net8: Path) -> None:
    with plugin("A protocol").registered():
        answer = rescli(
            "eval", net8, "--protocol", "five-crop", "--split", "val", "--device", "cpu", "--json"
        )
    (result,) = answer.json["results"]
    assert (result["protocol"], result["num_views"]) == ("five-crop", 5)


def test_a_logger(plugin: Callable[[str], Plugin], tmp_path: Path) -> None:
    from rescli.runs.logger import LoggedRun
    from rescli.spec.load import load_spec
    from rescli.training.events import EvalDone, EvalResult, FitDone

    result = EvalResult(num_images=200, top1_error=12.5, top5_error=1.0, loss=0.4)
    logger = plugin("A logger").value(LoggedRun(path=tmp_path, spec=load_spec("quickstart")))
    for event in (EvalDone(200, 1.28, result, True), FitDone(200)):
        logger(event)
    logger.close()
    assert (tmp_path / "val.csv").read_text() == "200,12.5\n"


def test_an_exporter(
    plugin: Callable[[str], Plugin], rescli: Callable[..., Any], net8: Path, tmp_path: Path
) -> None:
    with plugin("An exporter").registered():
        answer = rescli("export", net8, "--format", "labelled", "--out", tmp_path / "net.pt2")
    assert answer.code == 0, answer.err
    assert (tmp_path / "net.txt").read_text().split()[0] == "arrow"


def test_an_importer(
    plugin: Callable[[str], Plugin], rescli: Callable[..., Any], net8: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    theirs = {name.replace("fc.", "head."): tensor for name, tensor in load_file(net8).items()}
    save_file(theirs, tmp_path / "theirs.safetensors")
    out = tmp_path / "net.safetensors"
    with plugin("An importer").registered():
        flags = ("--model", "resnet-8", "--dataset", "shapes", "--out", out)
        answer = rescli("import", tmp_path / "theirs.safetensors", *flags)
    assert answer.code == 0, answer.err
    assert load_file(out)["fc.weight"].equal(load_file(net8)["fc.weight"])


def test_a_name_for_a_while(blocks_of: Callable[..., Any]) -> None:
    (shown,) = (block for block in blocks_of(PAGE) if block.language == "py")
    assert "registry.override(" in shown.code
