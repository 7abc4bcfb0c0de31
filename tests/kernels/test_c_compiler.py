"""Compiling: once per machine, into the user's cache, and with a reason where it cannot be."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from rescli.kernels.c_compiler import NoCompiler, compile_native, precompile
from rescli.kernels.choice import self_test

try:
    compile_native("norm")
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing loaded that was compiled before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    compile_native.cache_clear()
    return tmp_path / "cache" / "rescli" / "native"


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_compiler_may_be_several_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CC", compiler(tmp_path / "cc", f'echo "$1" >> {log}\nexec cc "$@"') + " -g0")
    compile_native("norm")
    assert set(log.read_text().splitlines()) == {"-g0"}


def test_compiled_once_and_kept(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CC", compiler(tmp_path / "cc", f'echo "$@" >> {log}\nexec cc "$@"'))
    compile_native("norm")
    (kept,) = fresh.iterdir()
    compile_native.cache_clear()
    compile_native("norm")
    said = log.read_text().splitlines()
    assert sum(" -o " in line for line in said) == 1
    assert sum(" -E " in line for line in said) == 2
    assert list(fresh.iterdir()) == [kept]
    compile_native("norm", "MAP_BF16")
    assert len(list(fresh.iterdir())) == 2


def test_begun_before_it_is_asked_for_it_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CC", compiler(tmp_path / "cc", f'echo "$@" >> {log}\nexec cc "$@"'))
    wanted = [("norm",), ("norm", "MAP_BF16"), ("conv",)]
    precompile(*wanted)
    precompile(*wanted)
    for library in wanted:
        with suppress(NoCompiler):  # a processor that has no use for the convolution's
            compile_native(*library)
    said = log.read_text().splitlines()
    assert sum(" -o " in line for line in said) == 3
    assert sum(" -E " in line for line in said) == 3


def test_what_was_begun_in_vain_is_said_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    precompile(("norm",))
    with pytest.raises(NoCompiler, match=r"there is no C compiler \(no-such-cc\)"):
        compile_native("norm")
    monkeypatch.delenv("CC")
    assert compile_native("norm").norm_forward


def test_what_is_compiled_beforehand_is_not_loaded(fresh: Path) -> None:
    """It would bring another runtime of OpenMP than torch's."""
    code = "import ctypes, threading\nfrom rescli.kernels.c_compiler import precompile\n"
    code += "precompile(('norm',))\nfor t in threading.enumerate():\n    t.name == 'rescli-cc' and t.join()\n"
    code += "print('gomp' in open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
    assert len(list(fresh.iterdir())) == 1


def test_another_compiler_or_processor_is_another_library(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home directory may be that of many machines, and -march=native is another on each."""
    compile_native("norm")
    only_preprocessing = 'case "$*" in *" -E "*) exec cc "$@" -D__ANOTHER__;; *) exec cc "$@";; esac'
    # Under the same name, as another machine's would be.
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    real = subprocess.run(["sh", "-c", "command -v cc"], capture_output=True, text=True, check=True)
    script = only_preprocessing.replace("exec cc", f"exec {real.stdout.strip()}")
    compiler(tmp_path / "cc", script)
    compile_native.cache_clear()
    compile_native("norm")
    assert len(list(fresh.iterdir())) == 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'x.c:1:1: error: nothing works' >&2; exit 1", "the C compiler fails: x.c:1:1: error: nothing"),
        ("exit 3", "the C compiler fails: "),
        ('case "$*" in *" -E "*) ;; *) : > "${@: -2:1}";; esac', None),
    ],
)
def test_a_compiler_that_does_not_work(
    script: str, reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(compiler(tmp_path / "cc", script))
    path.write_text(path.read_text().replace("#!/bin/sh", "#!/bin/bash"))
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(NoCompiler) as caught:
        compile_native("norm")
    assert str(caught.value).startswith(reason or "what the C compiler makes cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_a_processor_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler(tmp_path / "cc", 'exec cc "$@" -mno-avx2 -mno-avx512f'))
    with pytest.raises(NoCompiler, match=r"^the processor has no AVX2, and torch is faster then$"):
        compile_native("norm")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    with pytest.raises(NoCompiler, match=r"there is no C compiler \(no-such-cc\)"):
        compile_native("norm")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_native("norm").norm_forward


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert compile_native("norm").norm_forward


@pytest.mark.parametrize("length", [0, 100, 4096, 12_000])
def test_a_library_in_the_cache_that_was_cut_is_replaced(length: int, fresh: Path) -> None:
    """To run it would be the end of the process, at every start."""
    compile_native("norm")
    (kept,) = fresh.iterdir()
    whole = kept.read_bytes()
    # Another file: this process has the old one mapped.
    kept.unlink()
    kept.write_bytes(whole[:length])
    code = "from rescli.kernels.c_compiler import compile_native; compile_native('norm').norm_forward"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert len(kept.read_bytes()) == len(whole)


def test_the_self_test_tells_and_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    from rescli.kernels.norm.native import load_norm_native

    load_norm_native.cache_clear()
    monkeypatch.setenv("CC", "no-such-cc")
    assert self_test("native", "cpu") == "there is no C compiler (no-such-cc)"
    assert self_test("native", torch.device("cuda")) == "the kernels run on cpu, not on cuda"
