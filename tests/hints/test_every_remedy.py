"""Every remedy of the source is typed by one of the tests beside this, or is said to be out of reach here."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from house import constants

from rescli import registry

ROOT = Path(__file__).resolve().parents[2]

NOT_HERE = {
    "checkpoints/checkpoint.py import_this": "of Python: a command refuses the file by its first bytes",
    "checkpoints/header.py import_exported": "typed in tests/cli/test_finetune.py",
    "checkpoints/header.py import_this": "of Python: a command refuses the file by its first bytes",
    "data/folders/specs.py data_root": "of Python: a command reads the folder before it asks for classes",
    "data/folders/specs.py verify_data": "of Python: a command reads the folder before it asks for counts",
    "data/photos/loader.py data.skip_damaged": "of Python: a run says how it goes on",
    "diagnosis/devices.py device": "of a machine that this one is not",
    "diagnosis/devices.py threads": "of a machine that this one is not",
    "diagnosis/images.py data_root": "of images that are damaged, in tests/diagnosis/test_images.py",
    "diagnosis/images.py verify_data": "of ImageNet, in tests/diagnosis/test_images.py",
    "diagnosis/memory.py data.batch_size": "of a machine that this one is not",
    "diagnosis/place.py checkpoint.every": "of a disk that is slow",
    "diagnosis/place.py out": "of a disk that is full or not writable",
    "diagnosis/speed.py budget": "for a training that is to be begun",
    "diagnosis/speed.py checkpoint.every": "of a disk that is slow",
    "diagnosis/speed.py nproc": "of a machine with several GPUs",
    "diagnosis/speed.py pack": "of photographs that are slow to decode",
    "evaluation/images/which_images.py data_root": "typed in tests/cli/test_eval_folders.py",
    "exporters/formats/onnx.py opset": "typed in tests/exporters/onnx/test_opset.py, on a network of its own",
    "importers/asked.py data.dataset.image_size": "typed in tests/cli/test_own_classes.py",
    "importers/exported.py model": "typed in tests/cli/test_finetune.py",
    "runs/evaluating/known_results.py results": "typed in test_exports.py, of an error made elsewhere",
    "runs/in_place.py resume": "of a run that is moved while it trains, in tests/runs/test_drive.py",
    "runs/stored_record.py resume": "of Python: commands go on without the record",
    "studies/evidence/incoming.py precision": "typed in tests/cli/test_reproduce_import.py",
    "studies/queue.py runs": "of a run that another process trains, in tests/studies/test_queue.py",
    "training/fit.py precision": "needs more than a thousand iterations",
    "workflows/compare.py compare": "trains two nets on CIFAR-10",
    "workflows/reproduce.py budget": "what was given, in tests/cli/test_reproduce_import.py",
    "workflows/reproduce.py dry_run": "what was given, in tests/cli/test_reproduce_import.py",
    "workflows/trust/verify_resume.py iterations": "of iterations too few to be killed in",
}
"""Remedies that no test here reaches, and why."""

_IS_REMEDY = re.compile(r"[a-z_/]+\.py [a-z_.]+")


def written() -> set[str]:
    """File and setting of each remedy in the source."""
    found = set()
    for path in (ROOT / "rescli").rglob("*.py"):
        file = path.relative_to(ROOT / "rescli").as_posix()
        if file.startswith("cli/") or file == "remedy.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Remedy":
                assert isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}"
                found.add(f"{file} {node.args[0].value}")
    return found


def typed() -> set[str]:
    """Those that a test beside this says to be printed; it fails where they are not."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    str(part.value)
                    if isinstance(part, ast.Constant)
                    else str(names.get(ast.unparse(part).strip("f'{}\""), "?"))
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if _IS_REMEDY.fullmatch(text):
                found.add(text)
    return found


def test_every_remedy_is_typed() -> None:
    reached, whole = typed(), written()
    assert reached <= whole, "there is no such remedy any more"
    assert NOT_HERE.keys() <= whole - reached, "it is typed, or is not there"
    assert whole - reached - NOT_HERE.keys() == set()


def test_every_extra_to_install_is_there() -> None:
    """Of the hints that are no remedies, those that install something."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rescli").rglob("*.py"))
    named = {*re.findall(r'install_command\("(\w+)"\)', sources)}
    named |= {registry.load("exporters", name).extra for name in registry.names("exporters")} - {None}
    assert named
    assert named <= extras.keys()
