"""Versions: of what rescli needs, and of what its extras bring. Imports none of it."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from rescli import __version__
from rescli.diagnosis.findings import Fact, Finding, Part
from rescli.installation import install_command

__all__ = ["look_at_software"]

_NEEDED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "matplotlib": "matplotlib",
    "scipy": "scipy",
    "jinja2": "jinja2",
}
"""Package to its module; Pillow has two packages."""

_EXTRAS = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "timm": ("timm",),
    "heif": ("pillow-heif",),
    "huggingface": ("timm", "transformers"),
}


def look_at_software() -> Part:
    """Which versions there are, what is missing, and which extras are whole."""
    facts: dict[str, Fact] = {"rescli": __version__, "python": platform.python_version()}
    missing = []
    for package, module in _NEEDED.items():
        facts[package] = _version(package)
        if facts[package] is None and not _importable(module):
            missing.append(package)
    pillow, simd = _version("Pillow"), _version("pillow-simd")
    facts |= {"pillow": pillow, "pillow_simd": simd, "triton": _version("triton")}
    if not _importable("PIL"):
        missing.append("Pillow")
    extras = {name: all(map(_version, packages)) for name, packages in _EXTRAS.items()}
    facts["extras"] = [name for name, whole in extras.items() if whole]
    pictures = f"pillow-simd {simd}" if simd else f"Pillow {pillow}"
    shown = ", ".join(
        [
            f"rescli {__version__}",
            f"Python {platform.python_version()}",
            f"torch {facts['torch']}",
            f"torchvision {facts['torchvision']}",
            f"numpy {facts['numpy']}",
            pictures,
        ]
    )
    findings = [Finding("ok", f"{shown}; {platform.system()} {platform.release()}, {platform.machine()}")]
    if missing:
        findings.append(
            Finding(
                "problem",
                f"not installed: {', '.join(missing)}, without which rescli does not work",
                hint=f"{sys.executable} -m pip install {' '.join(missing)}",
            )
        )
    there = ", ".join(name for name, whole in extras.items() if whole) or "none"
    lacking = [name for name, whole in extras.items() if not whole]
    if lacking:
        text = f"extras: {there}; not installed: {', '.join(lacking)}, for exports and photographs in HEIC"
        findings.append(Finding("ok", text, hint=f"where they are wanted: {install_command(lacking[0])}"))
    else:
        findings.append(Finding("ok", f"extras: {there}"))
    return Part("versions", tuple(findings), facts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
