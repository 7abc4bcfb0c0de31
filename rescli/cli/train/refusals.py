"""What ``rescli train`` refuses before it begins: a run directory that is taken, flags that change a run."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

from rescli.errors import RunDirError
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir, default_run_path
from rescli.spec.from_names import Choice, choose_changes, choose_spec
from rescli.spec.run import RunSpec

__all__ = ["longer_than", "new_path"]


def new_path(spec: RunSpec, out: Path | None) -> Path:
    """Where a run of several processes will lie; refused here, before they are begun.

    Raises:
        RunDirError: it holds a run already.
    """
    path = out if out is not None else default_run_path(spec, datetime.now())
    if (path / "spec.toml").exists():
        raise RunDirError(
            f"{path} holds a run already.", remedy=[Remedy("resume", str(path)), Remedy("out", "DIR")]
        )
    return path


def longer_than(path: Path, choice: Choice, out: Path | None) -> int | None:
    """The iterations of a longer run; None where the flags beside ``--resume`` repeat the run's spec.

    Raises:
        RunDirError: they change it otherwise; it would be longer without a directory of its own; or there is
            no such run.
    """
    run_dir = RunDir.open(path)
    spec = run_dir.read_spec()
    if choice.is_empty:
        return None
    from rescli.runs.saved_state import differing_keys

    wanted = choose_spec(choice)[1] if choice.names_a_net else choose_changes(str(run_dir.spec), choice)
    changed = differing_keys(spec.to_dict(), wanted.to_dict())
    if changed == ["iterations"] and wanted.iterations > spec.iterations:
        if out is not None:
            return wanted.iterations
        quoted = shlex.quote(str(path))
        more = f"--iterations {wanted.iterations} --out NEW_DIR"
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: iterations "
            f"({spec.iterations}, and {wanted.iterations} wanted). To go on for longer takes a directory of "
            "its own.",
            hint=f"rescli train --resume {quoted} {more} (goes on: momentum, step and schedule are kept)\n"
            f"  rescli train {quoted}/spec.toml --from {quoted} {more} (its weights alone, a new schedule)",
        )
    if changed:
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: {', '.join(changed)}.",
            remedy=[
                Remedy("resume", str(run_dir.path), "alone"),
                Remedy("out", "NEW_DIR", "to begin a new run"),
            ],
        )
    return None
