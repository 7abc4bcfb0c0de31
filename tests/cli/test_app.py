"""The program as a whole: help, version, and one exit code for each kind of failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from rescli import __version__, errors, handbook, registry
from rescli.cli import app as app_module
from rescli.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its words: ``rescli models show``."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _leaves(below, f"{path} {name}")


COMMANDS = dict(_leaves(typer.main.get_command(build_app()), "rescli"))


def _plain(text: str) -> str:
    """Without rich's frames and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_every_registered_command_is_there() -> None:
    assert {f"rescli {name}" for name in registry.names("commands")} <= COMMANDS.keys()


def test_the_line_of_each_command_is_whole(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for words in ((), ("analyze",), ("data",), ("models",), ("presets",)):
        shown = rescli(*words, "--help").out
        assert "..." not in shown.split("Commands:")[1]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_every_flag_has_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert command.help.rstrip()[-1] in ".!?" or "\n" in command.help
    silent = [p.name for p in command.params if not p.help]
    assert not silent


@pytest.mark.parametrize("path", COMMANDS)
def test_help_is_printed_and_is_no_error(path: str, rescli: Callable[..., Any]) -> None:
    for flag in ("--help", "-h"):
        answer = rescli(*path.split()[1:], flag)
        assert (answer.code, answer.err) == (0, "")
        first_line = COMMANDS[path].help.splitlines()[0]
        assert " ".join(first_line.split()) in _plain(answer.out)


def test_version(rescli: Callable[..., Any]) -> None:
    answer = rescli("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"rescli {__version__}\n", "")


def test_flags_that_scripts_rely_on() -> None:
    flags = {flag for param in COMMANDS["rescli train"].params for flag in param.opts}
    assert flags >= {
        *("--dataset", "--model", "--depth", "--shortcut", "--set", "--iterations", "--batch-size"),
        *("--seed", "--budget", "--device", "--precision", "--data-root", "--out", "--resume"),
        *("--dry-run", "--json", "--quiet"),
    }


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("trian", ["trian", "Did you mean 'train'"]),
        ("train quikstart", ["'quikstart'", "cifar10/resnet-20", "Did you mean 'quickstart'?"]),
        (
            "train quickstart --set optimiser.lr=1",
            ["optimiser: unknown key", "allowed here", "optimizer, precision", "Did you mean optimizer?"],
        ),
        ("train --dataset cifar1", ["'cifar1'", "cifar10, cifar100, imagefolder", "Did you mean 'cifar10'?"]),
        ("train --model resnat-20", ["'resnat-20'", "plain-20, resnet-20", "Did you mean 'resnet-20'?"]),
        ("train --depth 57", ["57 is not 6n+2", "56 (n=9) and 62 (n=10)"]),
        ("train quickstart --batch-size 0", ["data.batch_size", "must be at least 1", "given: 0"]),
        ("train quickstart --set optimizer.lr=abc", ["optimizer.lr", "must be a number", "given: 'abc'"]),
        ("train --model resnet-20 --depth 20", ["--model resnet-20", "--depth 20", "give one of them"]),
    ],
)
def test_bad_usage_exits_2_before_any_work(
    argv: str, says: list[str], start_rescli: Callable[..., Any], tmp_path: Any
) -> None:
    process = start_rescli(*argv.split(), cwd=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    for words in says:
        assert words in _plain(err)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []  # no run directory was begun


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("train", "nothing to train was named"),
        ("train --depth abc", "'--depth'"),
        ("train --depht 20", "No such option: --depht"),
        ("train quickstart --budget soon --dry-run", "'soon' is not a duration; write 90s, 20m or 1h30m"),
        (
            "train quickstart --precision fp8 --dry-run",
            "precision: must be one of auto, fp32, bf16, fp16 (given: 'fp8'). Did you mean 'fp32'?",
        ),
        ("train quickstart --set seed --dry-run", "--set 'seed' is not KEY=VALUE"),
        ("train quickstart --shortcut D --dry-run", "model.shortcut"),
        ("train nosuch.toml --dry-run", "no such spec file: nosuch.toml"),
        ("train --model plain-20 --shortcut B --dry-run", "model.shortcut: unknown key"),
        ("train --resume somewhere --dry-run", "--dry-run does not go with --resume"),
        ("presets show quickstrat", "Did you mean 'quickstart'?"),
    ],
)
def test_more_bad_usage(argv: str, says: str, rescli: Callable[..., Any]) -> None:
    answer = rescli(*argv.split())
    assert (answer.code, answer.out) == (2, "")
    assert says in _plain(answer.err)


def _names_of_errors() -> list[str]:
    return [
        name for name in errors.__all__ if isinstance(getattr(errors, name), type) and name != "RescliError"
    ]


@pytest.mark.parametrize("name", _names_of_errors())
def test_each_error_leaves_its_own_exit_code(
    name: str, rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    error_class = getattr(errors, name)
    given = ("thing", "x", ["y"]) if name == "UnknownNameError" else ("it did not work.",)
    error = error_class(*given, hint="rescli doctor")
    _make_it_raise(error, monkeypatch)
    answer = rescli("train")
    assert answer.code == error_class.exit_code
    assert (answer.out, answer.err) == ("", f"error: {error}\n  try: rescli doctor\n")


def test_a_hint_that_is_no_command_is_not_announced_as_one(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_it_raise(errors.DataError("no such file.", hint="put it there"), monkeypatch)
    assert rescli("train").err == "error: no such file.\n  put it there\n"


def test_control_c_exits_130(rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _make_it_raise(KeyboardInterrupt(), monkeypatch)
    assert rescli("train").code == 130


def _make_it_raise(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> Callable[[], None]:
        def run() -> None:
            raise error

        return run

    monkeypatch.setattr(app_module, "build_app", build)


@pytest.mark.parametrize(
    ("error", "code", "section"),
    [
        (OSError(5, "Input/output error"), 1, '"Disk full, read-only or failing"'),
        (OSError(2, "No such file or directory"), 1, ""),
        (MemoryError(), 1, '"Out of memory on the machine"'),
        (OverflowError("too large"), 2, ""),
        (RecursionError("too deep"), 2, ""),
    ],
)
def test_what_nobody_foresaw_is_the_machines_or_the_users(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, section: str
) -> None:
    _make_it_raise(error, monkeypatch)
    answer = rescli("train")
    assert (answer.code, answer.see.partition(", ")[2]) == (code, section)


def test_a_plugins_command_is_mounted(rescli: Callable[..., Any]) -> None:
    def hello(name: str) -> None:
        """Greet."""
        print(f"hello {name}")

    group = typer.Typer(help="A group.")
    group.command("one")(hello)
    group.command("two")(hello)
    with registry.override("commands", "hello", hello), registry.override("commands", "grp", group):
        assert rescli("hello", "you").out == "hello you\n"
        assert rescli("grp", "two", "you").out == "hello you\n"
        assert "A group." in rescli("--help").out
    assert rescli("hello", "you").code == 2


def test_a_working_directory_that_was_deleted_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(SystemExit) as caught:
        app_module.main()
    assert caught.value.code == 2
    assert "the working directory was deleted" in capsys.readouterr().err


def test_a_library_that_cannot_be_loaded_is_named(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PyTorch's under ``ulimit -v``."""
    _make_it_raise(ImportError("libc10.so: failed to map segment from shared object"), monkeypatch)
    answer = rescli("train")
    assert answer.code == 2
    assert "error: a library cannot be loaded: libc10.so: failed to map segment" in answer.err
    assert "ulimit -v" in answer.err
    _make_it_raise(ModuleNotFoundError("No module named 'rescli.gone'"), monkeypatch)
    with pytest.raises(ModuleNotFoundError):
        rescli("train")


def test_the_name_of_a_backend_that_matplotlib_does_not_have_is_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    program = (
        "import contextlib, sys; sys.argv = ['rescli', '--version']; from rescli.cli.app import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "import matplotlib; print(matplotlib.rcParams['backend'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["agg"], done.stderr


def test_a_working_directory_that_is_deleted_meanwhile_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def work() -> None:
        os.rmdir(tmp_path)
        os.getcwd()

    monkeypatch.setattr(app_module, "build_app", lambda: work)
    with pytest.raises(SystemExit):
        app_module.main()
    assert "the working directory was deleted" in capsys.readouterr().err


class TestHandbook:
    """What an error and a help say of the handbook."""

    def test_an_error_ends_with_its_section(
        self, rescli: Callable[..., Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer = rescli("presets", "show", "quikstart")
        page = ROOT / "docs" / "troubleshooting.md"
        assert answer.see == f'{page}, "Unknown name or key"'

    def test_it_stands_last_and_on_stderr(self, start_interpreter: Callable[..., Any]) -> None:
        out, err = start_interpreter("show", "nope.safetensors", "--json").communicate()
        assert out == ""
        assert err.splitlines()[-1].startswith("  see: ")

    def test_one_that_names_no_section_ends_without(self, rescli: Callable[..., Any]) -> None:
        assert rescli("train", "quickstart", "--nproc", 2, "--budget", "1m").see == ""

    def test_where_no_handbook_came_along_nothing_is_said_of_one(
        self, rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(handbook, "shipped", lambda folder: tmp_path / folder)
        assert rescli("show", "nope.safetensors").see == ""
        assert "Handbook" not in rescli("--help").out
        assert "Handbook" not in rescli("show", "--help").out

    @pytest.mark.parametrize("path", COMMANDS)
    def test_help_ends_with_a_page_that_is_there(self, path: str, rescli: Callable[..., Any]) -> None:
        *_, last = rescli(*path.split()[1:], "--help").out.splitlines()
        assert Path(last.removeprefix("Handbook: ").partition(",")[0]).is_file()
