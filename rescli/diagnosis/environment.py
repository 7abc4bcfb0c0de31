"""Variables of the environment that change what rescli does, and what else goes on in this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from rescli.bench.other_load import OtherLoadWatch
from rescli.diagnosis.findings import Fact, Finding, Part
from rescli.errors import UsageError
from rescli.foreign_text import readable
from rescli.hardware.launcher import check_complete, launched, num_ranks
from rescli.plurals import counted

__all__ = ["look_at_environment", "look_at_leftovers", "look_at_load"]

_PREFIXES = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "OPENBLAS_", "ATEN_", "TORCH", "PYTORCH_"),
    *("RESCLI_", "CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_TF32", "NCCL_", "TRITON_", "LD_PRELOAD", "MALLOC_"),
)
_NAMES = ("CC", "TMPDIR", "XDG_CACHE_HOME", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

_SLOWER = {
    "ATEN_CPU_CAPABILITY": "torch uses no newer instructions than that",
    "CUDA_LAUNCH_BLOCKING": "each step waits for the GPU",
    "DNNL_MAX_CPU_ISA": "convolutions use no newer instructions than that",
    "KMP_BLOCKTIME": "threads wait as it says, and not as the load asks for",
    "MKL_ENABLE_INSTRUCTIONS": "matrix products use no newer instructions than that",
    "OMP_PROC_BIND": "threads are bound to cores, and wait as the runtime has it",
    "OMP_WAIT_POLICY": "threads wait as it says, and not as the load asks for",
    "ONEDNN_MAX_CPU_ISA": "convolutions use no newer instructions than that",
    "TORCH_SHOW_CPP_STACKTRACES": "errors of torch are pages long",
    "TORCHDYNAMO_DISABLE": "torch.compile compiles nothing",
}
"""Variables that may cost time, to how."""

_LONGEST = 100
_BUSY_PERCENT = 15.0
_OLD_SECONDS = 24 * 3600
_MOST_ENTRIES = 5000
_LEFT_OVER = (".rescli-", "rescli-")


def look_at_environment() -> Part:
    """All that are set of those that count, and which of them cost something."""
    there = {name: _shown(os.environ[name]) for name in sorted(os.environ) if _counts(name)}
    facts: dict[str, Fact] = dict(there)
    findings = []
    try:
        if launched():
            check_complete()
            text = f"this is one of {counted(num_ranks(), 'process')} that a launcher began"
            findings.append(Finding("note", text))
    except UsageError as error:
        findings.append(Finding("problem", str(error), hint=error.hint or ""))
    for name, cost in _SLOWER.items():
        if there.get(name) and not (name == "CUDA_LAUNCH_BLOCKING" and there[name] == "0"):
            text = f"{name}={there[name]}: {cost}"
            findings.append(Finding("note", text, hint=f"unset {name} where that is not wanted"))
    others = [f"{name}={value}" for name, value in there.items() if name not in _SLOWER]
    if others:
        findings.append(Finding("ok", f"set: {', '.join(others)}"))
    elif not findings:
        findings.append(Finding("ok", "no variable is set that changes anything"))
    return Part("environment", tuple(findings), facts)


def look_at_load(watch: OtherLoadWatch) -> Part:
    """What other programs used of the processors that are ours, since the watch began."""
    watch.sample()
    found = watch.result()
    if found is None:
        return Part("other load", (Finding("ok", "the system does not show it"),))
    facts: dict[str, Fact] = {
        "others_percent": found["others_percent"],
        "stolen_percent": found["stolen_percent"],
        "seconds": found["seconds"],
        "programs": [readable(program["name"]) for program in found["programs"]],
    }
    others, stolen = found["others_percent"], found["stolen_percent"]
    named = ", ".join(f"{readable(one['name'])} {one['cores']:g} cores" for one in found["programs"])
    text = (
        f"other programs used {others:.0f} % of the {counted(found['cores'], 'core')} in {found['seconds']} s"
    )
    text += f" ({named})" if named and others >= 1 else ""
    if stolen >= 1:
        text += f"; the host of this virtual machine took {stolen:.0f} %"
    if others + stolen >= _BUSY_PERCENT:
        hint = "training takes longer until they end; its results are the same"
        return Part("other load", (Finding("note", text, hint=hint),), facts)
    return Part("other load", (Finding("ok", text),), facts)


def look_at_leftovers(folders: Mapping[str, Path]) -> Part:
    """Files of rescli that a killed process left: older than a day, in folders that are listed, not walked.

    Args:
        folders: what each is, to where it is.
    """
    found: list[str] = []
    for folder in dict.fromkeys(folders.values()):
        with suppress(OSError):
            found += [str(path) for path in _old(folder)]
    facts: dict[str, Fact] = {"paths": list(found)}
    where = ", ".join(dict.fromkeys(folders))
    if not found:
        return Part("left-overs", (Finding("ok", f"none in {where}"),), facts)
    shown = ", ".join(map(readable, found[:3])) + (", ..." if len(found) > 3 else "")
    text = f"{counted(len(found), 'left-over')} of processes that were killed: {shown}"
    hint = "nothing needs them; delete them where no process of rescli is at work"
    return Part("left-overs", (Finding("note", text, hint=hint),), facts)


def _old(folder: Path) -> Iterator[Path]:
    now = time.time()
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _MOST_ENTRIES:
                return
            temporary = entry.name.startswith(".") and entry.name.endswith(".tmp")
            if temporary or entry.name.startswith(_LEFT_OVER):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_uid == os.getuid() and now - found.st_mtime > _OLD_SECONDS:
                        yield Path(entry.path)


def _counts(name: str) -> bool:
    return name.startswith(_PREFIXES) or name in _NAMES


def _shown(value: str) -> str:
    shown = readable(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
