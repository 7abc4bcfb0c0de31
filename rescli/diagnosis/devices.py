"""What computes: GPUs, the precision that auto takes and why, compiled kernels, and threads."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from rescli.diagnosis.findings import Fact, Finding, Part, size
from rescli.errors import first_line
from rescli.hardware.numerics import Numerics, choose_device, choose_precision
from rescli.hardware.threads.cores import usable_cores
from rescli.hardware.threads.waiting import why_unwatched
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.runs.record import gpu_driver
from rescli.training.engines.choose import choose_kernels

__all__ = ["look_at_gpus", "look_at_threads", "look_at_use"]

_DRIVER = Path("/proc/driver/nvidia/version")
_SMALL_SHM = 1e9


def look_at_gpus() -> Part:
    """Those that torch can use, and why it cannot use others."""
    facts: dict[str, Fact] = {"torch_cuda": torch.version.cuda, "gpus": 0, "mps": _has_mps()}
    if torch.cuda.is_available():
        return _cuda(facts)
    if facts["mps"]:
        return Part("gpu", (Finding("ok", "an Apple GPU (mps)"),), facts)
    if not (_DRIVER.exists() or Path("/dev/nvidia0").exists()):
        return Part("gpu", (Finding("ok", "none in this machine"),), facts)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch.version.cuda is None and torch.version.hip is None:
        text = "there is an NVIDIA GPU, and this torch was built without CUDA"
        finding = Finding(
            "note", text, hint="install torch for CUDA: https://pytorch.org/get-started/locally/"
        )
    elif hidden is not None:
        text = f"there is an NVIDIA GPU, and CUDA_VISIBLE_DEVICES={hidden!r} hides it"
        finding = Finding("note", text, hint="unset CUDA_VISIBLE_DEVICES to train on it")
    else:
        versions = f"driver {gpu_driver()}, torch's CUDA {torch.version.cuda}"
        text = f"there is an NVIDIA GPU that torch cannot use ({versions})"
        hint = (
            "look at nvidia-smi; the driver may be too old for this torch, or be out of step with its module"
        )
        finding = Finding("note", text, hint=hint)
    return Part("gpu", (finding,), facts)


def _cuda(facts: dict[str, Fact]) -> Part:
    count = torch.cuda.device_count()
    driver = gpu_driver()
    facts |= {"gpus": count, "driver": driver, "names": [torch.cuda.get_device_name(k) for k in range(count)]}
    findings = []
    for number in range(count):
        found = torch.cuda.get_device_properties(number)
        said = (
            f"cuda:{number} {found.name}, {size(found.total_memory)}, capability {found.major}.{found.minor}"
        )
        try:
            free, _ = torch.cuda.mem_get_info(number)
            _compute(torch.device("cuda", number))
        except Exception as error:  # whatever a driver may throw
            text = f"{said}: it cannot compute: {first_line(error)}"
            hint = "install a torch that was built for it, or look at nvidia-smi"
            cpu = (Remedy("device", "cpu", "for a training: without it"),)
            findings.append(Finding("problem", text, hint=hint, remedies=cpu))
            continue
        if free < 0.5 * found.total_memory:
            text = f"{said}; only {size(free)} of it are free: other programs use it"
            findings.append(Finding("note", text, hint="nvidia-smi shows them"))
        else:
            findings.append(Finding("ok", f"{said}, {size(free)} free, driver {driver}"))
    if count > 1:
        shm = os.statvfs("/dev/shm")
        if shm.f_blocks * shm.f_frsize < _SMALL_SHM:
            text = "/dev/shm is small: several processes exchange gradients through it"
            findings.append(Finding("note", text, hint="give the container more: docker run's shm-size"))
    return Part("gpu", tuple(findings), facts)


def look_at_use() -> Part:
    """What a training takes of all that where nothing else is said: device, precision, kernels."""
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    numerics = Numerics(device, precision)
    numerics.configure_backend()
    facts: dict[str, Fact] = {"device": str(device), "precision": precision}
    if device.type != "cuda":
        try:
            _compute(device)
        except Exception as error:  # whatever a broken library may throw
            text = f"torch cannot compute a convolution on {device}: {first_line(error)}"
            return Part("use", (Finding("problem", text, hint="install torch again"),), facts)
    why = {
        ("cpu", "bf16"): "tried, it is faster than fp32 on this processor",
        ("cpu", "fp32"): "bf16 is not faster on this processor, tried on one convolution",
        ("cuda", "bf16"): "the GPU multiplies it",
        ("cuda", "fp32"): "the GPU has no bf16",
    }.get((device.type, precision), "the only one that is fast there")
    findings = [Finding("ok", f"device {device}, precision {precision} (auto): {why}")]
    kernels = choose_kernels("auto", numerics, engine="auto")
    convolutions = kernels.convolutions
    facts |= {
        "kernels": kernels.name,
        "kernels_reason": kernels.why_plain,
        "convolutions": convolutions.name,
        "convolutions_reason": convolutions.why_torch,
    }
    if kernels.why_plain is not None:
        findings.append(_plain(kernels.why_plain))
    elif kernels.name == "plain":
        findings.append(Finding("ok", "kernels: plain torch; there are no others for this device"))
    else:
        text = f"kernels: {kernels.name}, equal to plain torch in a test of each"
        if device.type == "cpu":
            text += f"; 3x3 convolutions: {convolutions.name}"
            if convolutions.name == "torch" and convolutions.why_torch:
                text += f" ({convolutions.why_torch})"
        findings.append(Finding("ok", text))
    return Part("use", tuple(findings), facts)


def _plain(reason: str) -> Finding:
    text = f"kernels: plain torch, which takes longer: {reason}"
    if "no C compiler" in reason:
        hint = "install one (gcc or clang), or name it by CC"
    elif "no room" in reason or "No space left" in reason:
        hint = "make room in the folder for temporary files, or name another by TMPDIR"
    elif "riton" in reason:
        hint = "install triton, which torch for CUDA brings"
    else:
        hint = "the results are right, only slower"
    return Finding("note", text, hint=hint)


def look_at_threads() -> Part:
    """How many threads compute on the processor, and how they wait for each other."""
    threads, cores, unwatched = torch.get_num_threads(), usable_cores(), why_unwatched()
    facts: dict[str, Fact] = {"threads": threads, "cores": cores, "unwatched": unwatched}
    given = os.environ.get("OMP_NUM_THREADS")
    said = f"{counted(threads, 'thread')} on {counted(cores, 'usable core')}"
    if threads < cores:
        reason = f"OMP_NUM_THREADS is {given}" if given else "torch chose so"
        hint = "unset OMP_NUM_THREADS to use all of them" if given else ""
        use_all = (Remedy("threads", cores, "for a training: all of them"),)
        first = Finding("note", f"{said}: {reason}", hint=hint, remedies=use_all)
    elif threads > cores:
        hint = "unset OMP_NUM_THREADS" if given else ""
        first = Finding("note", f"{said}: they take turns, which is slower than fewer", hint=hint)
    else:
        first = Finding("ok", said)
    if unwatched is None:
        how = "they wait for each other awake, and asleep while other programs want the cores"
    elif threads < 2:
        how = unwatched
    else:
        how = f"how they wait is not decided by rescli: {unwatched}"
    slow = unwatched is not None and threads > 1
    second = Finding("note" if slow else "ok", how)
    return Part("threads", (first, second), facts)


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def _compute(device: torch.device) -> None:
    """One small convolution, forward and backward, whose result is known.

    Raises:
        RuntimeError: it cannot be computed, or is wrong.
    """
    conv = nn.Conv2d(4, 8, 3, padding=1, bias=False).to(device)
    with torch.no_grad():
        conv.weight.fill_(0.5)
    out = conv(torch.ones(2, 4, 8, 8, device=device))
    out.sum().backward()
    found = float(out.detach()[0, 0, 4, 4])
    if abs(found - 18.0) > 1e-3 or conv.weight.grad is None:
        raise RuntimeError(f"a convolution whose result is 18 gave {found}")
