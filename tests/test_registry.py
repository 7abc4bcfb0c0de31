"""Plugins are installed here as pip leaves them: a ``.dist-info`` folder and a module on ``sys.path``."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rescli import registry
from rescli.errors import UnknownNameError, UsageError
from rescli.evaluation.protocols import Protocol
from rescli.spec import base

ROOT = Path(__file__).resolve().parent.parent
PLUGGED = {
    "models": base.ModelSpec,
    "blocks": base.BlockSpec,
    "datasets": base.DatasetSpec,
    "optimizers": base.OptimizerSpec,
    "schedules": base.ScheduleSpec,
}

Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def _fresh_tables() -> Iterator[None]:
    registry._table.cache_clear()
    yield
    registry._table.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install("acme", "models", "mynet = acme:MyNet", module=..., code=...)`` -> the site directory."""

    def install_one(
        distribution: str,
        group: str,
        entry: str,
        *,
        module: str | None = None,
        code: str = "",
        site: str = "site",
    ) -> Path:
        folder = tmp_path / site
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rescli.{group}]\n{entry}\n")
        if module:
            (folder / f"{module}.py").write_text(code)
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(str(folder))
        registry._table.cache_clear()
        return folder

    return install_one


def test_an_installed_plugin_is_found_named_and_loaded(install: Install) -> None:
    install("acme", "models", "mynet = acme_found:MyNet", module="acme_found", code="class MyNet: pass")
    assert registry.names("models") == ["mynet", "plain", "resnet"]
    assert registry.origin("models", "mynet") == ("acme", "acme_found:MyNet")
    assert "acme_found" not in sys.modules  # names and origin import nothing
    assert registry.load("models", "mynet").__name__ == "MyNet"


def test_a_name_claimed_twice_names_both_distributions(install: Install) -> None:
    install("acme", "models", "mynet = acme_twice:MyNet")
    install("zeta", "models", "mynet = zeta_twice:Other")
    with pytest.raises(UsageError, match="model 'mynet' is claimed twice") as caught:
        registry.load("models", "mynet")
    for word in ("acme", "acme_twice:MyNet", "zeta", "zeta_twice:Other"):
        assert word in str(caught.value)
    assert caught.value.hint == "uninstall one of the two distributions"


def test_a_plugin_cannot_silently_take_a_name_of_rescli(install: Install) -> None:
    install("acme", "models", "resnet = acme_resnet:ResNet")
    with pytest.raises(UsageError, match="claimed twice") as caught:
        registry.load("models", "resnet")
    assert "rescli (rescli.models.specs:ResNetSpec)" in str(caught.value)
    assert registry.load("models", "plain").__name__ == "PlainSpec"  # the others still work


def test_an_editable_install_listed_twice_is_one_claim(install: Install) -> None:
    code = "class MyNet: pass"
    install("acme", "models", "mynet = acme_editable:MyNet", module="acme_editable", code=code, site="a")
    install("acme", "models", "mynet = acme_editable:MyNet", site="b")
    assert registry.load("models", "mynet").__name__ == "MyNet"
    assert registry.names("models").count("mynet") == 1


@pytest.mark.parametrize(
    ("module", "code", "says"),
    [
        (
            "acme_raises",
            "raise RuntimeError('first line\\nsecond line')",
            "RuntimeError: first line second line",
        ),
        ("acme_syntax", "def", "SyntaxError"),
        ("acme_lacks", "", "AttributeError"),
        ("acme_needs", "import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_a_broken_plugin_is_one_line(install: Install, module: str, code: str, says: str) -> None:
    install("acme", "models", f"mynet = {module}:MyNet", module=module, code=code)
    with pytest.raises(UsageError, match="model 'mynet' of acme cannot be loaded") as caught:
        registry.load("models", "mynet")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert registry.broken("models") == {"mynet": str(caught.value)}


def test_a_broken_command_is_one_line_of_warning_and_help_still_works(install: Install) -> None:
    site = install("acme", "commands", "boom = acme_boom:boom", module="acme_boom", code="1 / 0")
    path = os.pathsep.join([str(ROOT), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "rescli", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: command 'boom' of acme cannot be loaded")
    assert "ZeroDivisionError" in done.stderr
    assert "train" in done.stdout
    assert "boom" not in done.stdout


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'resnat'; known: plain, resnet\. Did"):
        registry.load("models", "resnat")


def test_unknown_group() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown registry group 'modles'.*Did you mean 'models'"):
        registry.names("modles")


def test_override_lasts_as_long_as_its_block() -> None:
    own = registry.load("models", "resnet")
    with registry.override("models", "resnet", "other"), registry.override("models", "new", "value"):
        assert registry.load("models", "resnet") == "other"
        assert registry.names("models") == ["new", "plain", "resnet"]
        with registry.override("models", "resnet", "inner"):
            assert registry.load("models", "resnet") == "inner"
        assert registry.load("models", "resnet") == "other"
    assert registry.load("models", "resnet") is own
    assert registry.names("models") == ["plain", "resnet"]


def test_override_ends_when_its_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), registry.override("models", "new", "value"):
        _ = 1 / 0
    assert "new" not in registry.names("models")


def test_override_may_hold_none() -> None:
    with registry.override("models", "resnet", None):
        assert registry.load("models", "resnet") is None
        with registry.override("models", "resnet", "inner"):
            pass
        assert registry.load("models", "resnet") is None
    assert registry.load("models", "resnet").__name__ == "ResNetSpec"


def _own_entry_points() -> list[tuple[str, str, str]]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    return [(g.removeprefix("rescli."), name, v) for g, table in groups.items() for name, v in table.items()]


def test_every_group_of_pyproject_is_a_group_of_the_registry() -> None:
    assert {group for group, _, _ in _own_entry_points()} <= registry.GROUPS.keys()


@pytest.mark.parametrize(("group", "name", "value"), _own_entry_points())
def test_own_entry_points_load(group: str, name: str, value: str) -> None:
    assert registry.origin(group, name) == ("rescli", value)
    loaded = registry.load(group, name)
    if group in PLUGGED:
        assert issubclass(loaded, PLUGGED[group])
        assert loaded.model_fields["kind"].default == name
        assert loaded.group == group
    elif group == "protocols":
        assert isinstance(loaded, Protocol)
        assert loaded.name == name
    else:
        assert callable(loaded)


@pytest.mark.parametrize("group", sorted(registry.GROUPS))
def test_nothing_of_rescli_is_broken(group: str) -> None:
    assert registry.broken(group) == {}
