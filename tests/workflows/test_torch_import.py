"""Less to wait for when torch is imported, and the process as it was afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def said_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the import does all of it")
def test_libraries_are_loaded_before_the_import_which_then_works() -> None:
    code = """
import sys, threading
from rescli.workflows.running.torch_import import preload_torch
preload_torch()
for thread in threading.enumerate():
    if thread.name == "rescli-torch":
        thread.join()
print("libtorch_cpu" in open("/proc/self/maps").read(), "torch" in sys.modules)
import torch
print(torch.ones(3, 3).mm(torch.ones(3, 3)).sum().item(), torch.get_num_threads() > 0)
"""
    assert said_by(code) == ["True False", "27.0 True"]


def test_without_torch_nothing_happens() -> None:
    code = """
import importlib.util, threading
importlib.util.find_spec = lambda name: None
from rescli.workflows.running.torch_import import preload_torch
preload_torch()
print(threading.active_count())
"""
    assert said_by(code) == ["1"]


@pytest.mark.parametrize("before", [True, False])
def test_garbage_is_collected_again_afterwards(before: bool) -> None:
    code = f"""
import gc
gc.enable() if {before} else gc.disable()
from rescli.workflows.running.torch_import import importing_torch
with importing_torch():
    print(gc.isenabled())
print(gc.isenabled())
try:
    with importing_torch():
        raise ImportError
except ImportError:
    print(gc.isenabled())
"""
    assert said_by(code) == ["False", str(before), str(before)]


def test_a_signal_waits_until_torch_is_whole() -> None:
    code = """
import os, signal
from rescli.workflows.running.torch_import import importing_torch
try:
    with importing_torch():
        os.kill(os.getpid(), signal.SIGINT)
        print("goes on")
except KeyboardInterrupt:
    print("then stops", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    assert said_by(code) == ["goes on", "then stops True"]
