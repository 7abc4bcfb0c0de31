"""A process ends with the one that began it, also where that was killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rescli.workflows.trust.parent import ending_with_this

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own way of Linux")

_BEGIN = """
import subprocess, sys
from rescli.workflows.trust.parent import ending_with_this
program = ending_with_this(["/bin/sh", "-c", "echo begun; exec sleep 600"])
child = subprocess.Popen(program, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _BEGIN], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.kill()
    until = time.monotonic() + 30
    while is_there(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_there(child)


def test_what_it_ends_with_is_passed_on() -> None:
    assert subprocess.run(ending_with_this(["/bin/sh", "-c", "exit 7"]), check=False).returncode == 7
