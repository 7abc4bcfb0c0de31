"""What gcc lets pass and clang, the C compiler of many machines, refuses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rescli.kernels import winograd

SOURCE = Path(winograd.__file__).with_name("native.c")


@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang")
@pytest.mark.parametrize("processor", ["haswell", "skylake-avx512"])
def test_clang_takes_it(processor: str, tmp_path: Path) -> None:
    # clang's own may be a package apart.
    (tmp_path / "omp.h").write_text("int omp_get_thread_num(void);\n")
    options = ["--target=x86_64-linux-gnu", f"-march={processor}", "-std=gnu11", f"-I{tmp_path}"]
    done = subprocess.run(
        ["clang", *options, "-fsyntax-only", str(SOURCE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
