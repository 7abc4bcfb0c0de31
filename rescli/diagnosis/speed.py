"""What of all that was found makes a training fast or slow here, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping

from rescli.diagnosis.findings import Finding, Part
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["expected_speed"]

_BUSY_PERCENT = 15.0
_SLOW_SAVE = 0.1
_FEW_CORES_A_GPU = 8


def expected_speed(parts: Mapping[str, Part]) -> Part:
    """The sentences, the weightiest first.

    Args:
        parts: what was looked at, by name; parts that could not be looked at are not spoken of.
    """
    findings: list[Finding] = []
    use, processor = parts["use"].facts, parts["processor"].facts
    cores = processor.get("cores_usable")
    device = str(use.get("device") or "")
    if device == "cpu" and isinstance(cores, int):
        findings.append(_on_processor(cores, parts))
    elif device.startswith("cuda"):
        findings += _on_gpu(cores, parts)
    elif device:
        findings.append(Finding("ok", f"nets train on {device}, in {use.get('precision')}"))
    if device and use.get("kernels_reason"):
        text = "steps take longer than they could: rescli's kernels do not work here"
        findings.append(Finding("note", text, hint="see use, above"))
    elif device == "cpu" and use.get("kernels") == "native":
        findings.append(
            _native(use.get("precision"), use.get("convolutions"), use.get("convolutions_reason"))
        )
    folders = parts["working folders"].facts
    if device and use.get("kernels") == "native" and folders.get("cache_writable") is False:
        text = "each start takes a second or so longer: kernels are compiled anew, for want of a cache"
        findings.append(Finding("note", text, hint="name a folder that can be written by XDG_CACHE_HOME"))
    findings += _beside_it(parts)
    if not findings:
        findings.append(Finding("note", "nothing can be said: what computes could not be looked at"))
    return Part("speed", tuple(findings))


def _on_processor(cores: int, parts: Mapping[str, Part]) -> Finding:
    there_is_a_gpu = any(one.level != "ok" for one in parts["gpu"].findings)
    quota = parts["processor"].facts.get("cores_quota")
    share = f"{quota:g} of a core" if isinstance(quota, float) and quota < 1 else counted(cores, "core")
    text = (
        f"nets train on {share} of the processor: small nets on images of 32x32 in hours, "
        "the whole of the paper's schedules or photographs of 224x224 in days and weeks"
    )
    hint = "see gpu, above: it would be many times faster" if there_is_a_gpu else ""
    budget = () if there_is_a_gpu else (Remedy("budget", "20m", "for a training: shortens it to fit"),)
    return Finding("note" if there_is_a_gpu else "ok", text, hint=hint, remedies=budget)


def _on_gpu(cores: object, parts: Mapping[str, Part]) -> list[Finding]:
    use, gpus = parts["use"].facts, parts["gpu"].facts.get("gpus") or 1
    findings = [
        Finding(
            "ok",
            f"nets train on the GPU in {use.get('precision')}; of images of 32x32 nothing waits for the host",
        )
    ]
    if isinstance(cores, int) and isinstance(gpus, int) and cores < _FEW_CORES_A_GPU * gpus:
        text = f"photographs are decoded by {counted(cores, 'core')}, and the GPU will wait for them"
        findings.append(
            Finding("note", text, remedies=(Remedy("pack", note="makes them quicker to decode"),))
        )
    if isinstance(gpus, int) and gpus > 1:
        several = (Remedy("nproc", gpus, "for a training: on all of them"),)
        findings.append(Finding("ok", f"one of the {gpus} GPUs is used", remedies=several))
    return findings


def _native(precision: object, convolutions: object, reason: object) -> Finding:
    if precision == "bf16":
        return Finding(
            "ok", "steps are fast for this processor: it multiplies bf16, and compiled kernels do the rest"
        )
    if convolutions == "winograd":
        return Finding(
            "ok", "steps are fast for this processor: fp32, by compiled kernels and Winograd convolutions"
        )
    return Finding("note", f"steps are slower than they could be: torch convolves, as {reason}")


def _beside_it(parts: Mapping[str, Part]) -> list[Finding]:
    findings = []
    if parts["threads"].facts and parts["threads"].findings[0].level == "note":
        findings.append(
            Finding("note", "not all usable cores compute, or too many threads do", hint="see threads, above")
        )
    load = parts["other load"].facts
    taken = sum(
        float(v) for name in ("others_percent", "stolen_percent") if isinstance(v := load.get(name), float)
    )
    if taken >= _BUSY_PERCENT:
        text = f"other programs have {taken:.0f} % of the cores just now: a training takes that much longer"
        findings.append(Finding("note", text, hint="begin when they are done"))
    save = parts["run directory"].facts.get("save_seconds")
    if isinstance(save, float) and save > _SLOW_SAVE:
        seldom = (Remedy("checkpoint.every", "N", "for a training: saves more seldom"),)
        text = "states are saved slowly where runs are to lie; training goes on meanwhile, its end waits"
        findings.append(Finding("note", text, remedies=seldom))
    elif isinstance(save, float):
        findings.append(
            Finding("ok", "saving costs nothing that could be noticed: a thread writes beside the training")
        )
    if parts["run directory"].facts.get("is_network"):
        text = "photographs on a network file system are read slowly, one by one"
        findings.append(Finding("note", text, remedies=(Remedy("pack", note="one file for each split"),)))
    return findings
