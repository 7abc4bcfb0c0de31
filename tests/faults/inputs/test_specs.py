"""Specs as TOML files, values of --set, and everything else that is typed or stands in the environment."""

import os
import tomllib

import pytest
import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from trials.case import faults
from trials.mutate.lines import changed_toml, toml
from trials.mutate.values import odd_text, odd_value

SMALL = ("--device", "cpu", "--dry-run", "--json")


def drawn(dice, strategy):
    """What hypothesis draws for this case."""
    found = []

    @seed(dice.getrandbits(64))
    @settings(
        max_examples=8,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value):
        found.append(value)

    draw()
    return found[-1]


TEXTS = st.one_of(
    st.text(max_size=30),
    st.text("[]{}\"'=,.#\n\\x0123456789naninfe+-_ \x1b", max_size=20),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3)).map(str),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2).map(str),
)


@pytest.fixture(scope="session")
def documents():
    from rescli.spec.load import load_spec

    names = ("shapes/base", "cifar10/resnet-20", "imagefolder/32")
    return {name: load_spec(name).to_dict() for name in names}


@faults(short=1, long=190)
def test_toml_file(case, judge, work, documents):
    name = case.dice.choice(sorted(documents))
    document = tomllib.loads(
        "".join(f"{key} = {toml(value)}\n" for key, value in documents[name].items() if value is not None)
    )
    if case.dice.random() < 0.3:
        document = {"base": name, "iterations": 4, "optimizer": {"lr": 0.1}}
    data, what = changed_toml(case.dice, document)
    case.tries("spec: a TOML file", f"{name}: {what}")
    path = work / "spec.toml"
    path.write_bytes(data)
    judge.judge(case, "train", path, *SMALL, allowed={0, 2, 3})


@faults(short=1, long=160)
def test_set(case, judge, documents):
    document, path = documents["shapes/base"], []
    while isinstance(document, dict) and document:
        path.append(case.dice.choice(sorted(document)))
        document = document[path[-1]]
    value = toml(odd_value(case.dice, document)) if case.dice.random() < 0.5 else drawn(case.dice, TEXTS)
    key = ".".join(path) if case.dice.random() < 0.9 else drawn(case.dice, TEXTS)
    given = _typed(f"{key}={value}")
    case.tries("spec: --set", given[:100])
    judge.judge(case, "train", "shapes/base", "--set", given, *SMALL, allowed={0, 2, 3})


def _typed(text):
    """As it can be passed to a process: no NUL, and 100,000 bytes at most."""
    lone = any("\ud800" <= char < "\udc80" or "\udcff" < char <= "\udfff" for char in text)
    text = text.encode("utf-8", "replace").decode() if lone else text
    return text.replace("\0", "")[:100_000]


def options_of_all_commands():
    """(command, option, takes a value) of everything that ``--help`` lists."""
    from rescli.cli.app import build_app

    def walk(command, path):
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, (*path, name))
        if not hasattr(command, "commands"):
            for option in command.params:
                if option.param_type_name == "option" and option.name not in ("help", "install_completion"):
                    yield path, option.opts[0], not option.is_flag

    return sorted(walk(typer.main.get_command(build_app()), ()))


_LONG = {
    *("--nproc", "--workers", "--rounds", "--window", "--seeds", "--iterations", "--threads", "--budget"),
    "--calibration-images",
}
"""Where a huge number is a sound wish that takes as long as it says, where nothing is dry."""


@faults(short=2, long=260)
def test_options(case, judge, sound, work):
    options = [one for one in options_of_all_commands() if one[0] != ("bench",) or one[1] != "--help"]
    path, option, valued = case.dice.choice(options)
    (work / "a folder").mkdir()
    os.mkfifo(work / "pipe")
    (work / "text").write_text("x")
    (work / "loop").symlink_to("loop")
    bases = {
        ("train",): ("shapes/base", "--dry-run"),
        ("eval",): (sound.net, "--split", "val"),
        ("export",): (
            sound.net,
            "--format",
            "safetensors",
            "--out",
            work / "net.safetensors",
            "--check-images",
            10,
        ),
        ("predict",): (sound.net, sound.photos / "val/cat/1.png"),
        ("compare",): (sound.net, sound.other / "checkpoints/last.safetensors", "--out", work / "compared"),
        ("reproduce",): ("table6", "--dry-run"),
        ("show",): (sound.net,),
        ("import",): (
            sound.net,
            "--model",
            "resnet-8",
            "--dataset",
            "shapes",
            "--out",
            work / "net.safetensors",
        ),
        ("bench",): (
            "resnet-8",
            "--dataset",
            "shapes",
            "--contender",
            "whole-loop",
            "--rounds",
            2,
            "--window",
            0.01,
        ),
        ("models", "show"): ("resnet-8",),
        ("presets", "show"): ("shapes/base",),
        ("data", "verify"): ("imagefolder", "--data-root", sound.photos),
        ("data", "pack"): ("imagefolder", "--data-root", sound.photos, "--out", work / "packed"),
        ("data", "prepare"): ("imagenet", "--from", work / "a folder", "--out", work / "prepared"),
        ("data", "tidy"): ("--data-root", sound.photos, "--out", work / "tidied"),
        ("analyze", "responses"): (sound.net, "--device", "cpu"),
    }
    dry = path in (("train",), ("reproduce",))
    values = [
        *(
            "",
            " ",
            "-1",
            "0",
            "1e400",
            "nan",
            "-inf",
            "0x10",
            "1.5",
            "٣",
            "é\U0001f600",
            "\udcff",
            "--",
            "-",
            "a" * 5000,
        ),
        *(
            "a\nb",
            "\x1b[31m",
            "a=b",
            "=",
            "model.depth",
            "a.b.c=1",
            "..",
            "/proc",
            "~nobody/x",
            "~",
        ),
        *(
            work / "a folder",
            work / "pipe",
            work / "text",
            work / "loop",
            work / "text/x",
            work / "no/such",
            work / ("n" * 300),
        ),
    ]
    if dry or option not in _LONG:
        values += ["9" * 30, "2147483648", "9223372036854775808", "1e308", "99999999"]
    value = case.dice.choice(values)
    given = (option, value) if valued else (option,)
    more = bases.get(path, ())
    if case.dice.random() < 0.1:
        more = more[1:]  # and without what it needs
    name = str(value).removeprefix(str(work))
    case.tries(f"options: {path[0]}", f"{' '.join(path)} {option} {name[:60] if valued else ''}")
    judge.judge(case, *path, *more, *given, allowed={0, 2, 3, 4, 6}, seconds=60)


_VARIABLES = (
    *(
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "MASTER_ADDR",
        "MASTER_PORT",
        "OMP_NUM_THREADS",
        "RESCLI_DATA",
        "HOME",
    ),
    *(
        "XDG_CACHE_HOME",
        "COLUMNS",
        "LINES",
        "TERM",
        "NO_COLOR",
        "CC",
        "CUDA_VISIBLE_DEVICES",
        "TZ",
        "LC_ALL",
        "TMPDIR",
    ),
    *(
        "MPLBACKEND",
        "MPLCONFIGDIR",
        "LOCAL_WORLD_SIZE",
        "TORCHELASTIC_RUN_ID",
        "PATH",
        "USER",
        "PYTHONHASHSEED",
    ),
    *(
        "OMP_WAIT_POLICY",
        "GOMP_SPINCOUNT",
        "ATEN_CPU_CAPABILITY",
        "TORCH_LOGS",
        "FORCE_COLOR",
        "MKL_NUM_THREADS",
    ),
)


@faults(short=1, long=110)
def test_environment(case, judge, sound, work):
    name = case.dice.choice(_VARIABLES)
    odd = (
        None,
        "",
        "x",
        "-1",
        "0",
        "1",
        "9" * 20,
        "nan",
        "/proc/no/such",
        "/dev/null",
        "/proc",
        ".",
        "a" * 5000,
    )
    texts = ("\udcff", "\x1b[31m", "é", str(work / "text"), "1,2", ":", odd_text(case.dice).replace("\0", ""))
    value = case.dice.choice((*odd, *texts))
    value = None if value is None else value.encode("utf-8", "replace").decode()
    (work / "text").write_text("x")
    case.tries("environment", f"{name}={(value or str(value))[:40]!r}")
    command = case.dice.choice(
        (
            ("show", sound.net, "--json"),
            ("eval", sound.net, "--split", "val", "--device", "cpu", "--json"),
            ("train", "shapes/base", "--dry-run", "--device", "cpu", "--json"),
            ("train", "shapes/base", *sound.net_flags, "-q", "--out", work / "run", "--json"),
            ("compare", sound.run, sound.other, "--out", work / "compared", "--device", "cpu", "--json"),
            ("data", "list"),
            ("predict", sound.net, sound.photos / "val/cat/1.png", "--figure", work / "a.png"),
        )
    )
    judge.judge(case, *command, allowed={0, 2, 3}, env={name: value}, seconds=40)
