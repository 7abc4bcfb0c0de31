"""What ``rescli train`` refuses before it begins: a run directory that is taken, flags that change a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rescli.errors import RunDirError
from rescli.foreign_text import shell_path, shell_word
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir, default_run_path
from rescli.spec.from_names import Choice, choose_changes, choose_spec
from rescli.spec.run import RunSpec

__all__ = ["changes_of_resume", "new_path"]


@contextmanager
def new_path(spec: RunSpec, out: Path | None) -> Iterator[Path]:
    """Where a run of several processes will lie; refused here, before they are begun.

    A new place is kept for them as long as the block lasts, and taken back if they leave it empty.

    Raises:
        RunDirError: it holds a run already.
    """
    if out is not None and (out / "spec.toml").exists():
        raise RunDirError(
            f"{out} holds a run already.", remedy=[Remedy("resume", str(out)), Remedy("out", "DIR")]
        )
    run_dir = RunDir(out) if out is not None else RunDir.reserve(default_run_path(spec, datetime.now()))
    try:
        yield run_dir.path
    finally:
        run_dir.release()


def changes_of_resume(path: Path, choice: Choice, out: Path | None) -> tuple[int | None, bool | None]:
    """What the flags beside ``--resume`` change: how long the run is, and what is done with damaged images.

    Returns:
        The iterations of a longer run, None where it is none; and whether damaged images are to be skipped
        from now on, None where nobody says.

    Raises:
        RunDirError: they change it otherwise; it would be longer without a directory of its own; or there is
            no such run.
    """
    run_dir = RunDir.open(path)
    spec = run_dir.read_spec()
    if choice.is_empty:
        return None, None
    from rescli.runs.saved_state import MAY_CHANGE, differing_keys

    wanted = choose_spec(choice)[1] if choice.names_a_net else choose_changes(str(run_dir.spec), choice)
    changed = differing_keys(spec.to_dict(), wanted.to_dict())
    skipping = bool(wanted.data.skip_damaged) if {*changed} & MAY_CHANGE else None
    changed = [key for key in changed if key not in MAY_CHANGE]
    if changed == ["iterations"] and wanted.iterations < spec.iterations:
        raise RunDirError(
            f"{run_dir.path} is a run of {counted(spec.iterations, 'iteration')}; to go on for longer takes "
            f"more than those, not {wanted.iterations}.",
            page="resume-refused",
        )
    root = run_dir.noted_data_root()
    if changed == ["iterations"] and wanted.iterations > spec.iterations:
        if out is not None:
            return wanted.iterations, skipping
        quoted = shell_path(path)
        of_images = "" if root is None else f" --data-root {shell_word(str(root))}"
        more = f"--iterations {wanted.iterations} --out NEW_DIR"
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: iterations "
            f"({spec.iterations}, and {wanted.iterations} wanted). To go on for longer takes a directory of "
            "its own.",
            hint=f"rescli train --resume {quoted} {more} (goes on: momentum, step and schedule are kept)\n"
            f"  rescli train {quoted}/spec.toml --from {quoted}{of_images} {more} (its weights alone, a new "
            "schedule)",
            page="resume-refused",
        )
    if changed:
        kept = not any(key.startswith(("model.", "start_from.")) for key in changed)
        on = Remedy(
            "train_on",
            str(run_dir.path),
            "and these flags: its weights, a new schedule",
            also={"data_root": root},
        )
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: {', '.join(changed)}.",
            remedy=[
                Remedy("resume", str(run_dir.path), "alone"),
                *([on] if "iterations" in changed and kept and run_dir.last.is_file() else []),
                Remedy(
                    "train_anew",
                    run_dir.spec,
                    "and these flags: a new run",
                    also={"data_root": root},
                ),
            ],
            page="resume-refused",
        )
    if out is not None and choice.iterations is not None:
        raise RunDirError(
            f"--out does not go with --resume here: {run_dir.path} is a run of "
            f"{counted(spec.iterations, 'iteration')} already; to go on for longer takes more than those.",
            page="resume-refused",
        )
    return None, skipping
