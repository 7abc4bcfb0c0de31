"""The run directory: where everything of one run lies, and who may write it."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rescli.errors import CheckpointError, RescliError, RunDirError
from rescli.files import cannot_write, read_file, remove, write_atomically
from rescli.hardware.disk.file_lock import InUse, held_alone, is_held, stand_in_of
from rescli.hardware.disk.staging import remove_left_in
from rescli.remedy import Remedy
from rescli.runs.data_root.note import read_data_root, write_data_root
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.spec.toml import to_toml
from rescli.stored.json_values import parse_toml

__all__ = ["RunDir", "default_run_path", "noted_data_root"]

_log = logging.getLogger(__name__)

_ANOTHER = Remedy("out", "DIR", "choose another")
_TRIES = 20


class RunDir:
    """Paths of one run. ``create`` a new one or ``open`` an old one; ``locked`` while writing.

    spec.toml · record.json · metrics.jsonl · curves.png · checkpoints/{last,best}.safetensors · state/
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.toml"
        self.record = path / "record.json"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.png"
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.safetensors"
        self.best = self.checkpoints / "best.safetensors"
        self.state = path / "state"
        self.data_root = self.state / "data_root.json"
        self.test_openings = path / "test_openings.jsonl"
        self._lock = path / ".lock"
        self._made: list[Path] = []
        """Directories that were not there before, the outermost first."""

    @classmethod
    def reserve(cls, base: Path) -> RunDir:
        """A new, empty directory at ``base``, or where that is taken with ``-2``, ``-3`` and so on behind it.

        Whoever begins in the same second gets another.

        Raises:
            RunDirError: it cannot be written.
        """
        for count in itertools.count(1):
            run_dir = cls(base if count == 1 else base.with_name(f"{base.name}-{count}"))
            if run_dir._make():
                break
        return run_dir

    def release(self) -> None:
        """Remove the directories that were made for this run, as far as they are empty."""
        for folder in reversed(self._made):
            with suppress(OSError):  # something lies there: it stays
                folder.rmdir()

    @classmethod
    @contextmanager
    def create(cls, path: Path, *, numbered: bool = False) -> Iterator[RunDir]:
        """A new run at ``path``, which may be an empty directory; locked while the block lasts.

        Args:
            path: where it is to lie.
            numbered: where that is taken, take another name, as ``reserve`` does.

        Raises:
            RunDirError: something stands there already, or it cannot be written.
        """
        if numbered:
            run_dir = cls.reserve(path)
        else:
            run_dir = cls(path)
            run_dir._make()
        path, begun = run_dir.path, False
        try:
            # The lock first: what is seen under it nobody else can change.
            with run_dir.locked():
                if not run_dir.spec.exists():  # a start that was killed in between leaves no run
                    run_dir._forget_data_root()
                found = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(".lock"))
                if "spec.toml" in found:
                    raise RunDirError(
                        f"{path} holds a run already.",
                        remedy=[Remedy("resume", str(path)), _ANOTHER],
                    )
                if found:
                    remove(run_dir._lock)  # somebody else's folder stays as it was
                    raise RunDirError(
                        f"{path} is not empty: it holds {', '.join(found[:5])}.", remedy=_ANOTHER
                    )
                begun = True
                yield run_dir
        finally:
            if not begun:
                run_dir.release()

    @classmethod
    def try_out(cls, path: Path) -> None:
        """Raise what ``create`` would, and leave nothing."""
        with cls.create(path) as run_dir:
            remove(run_dir._lock, stand_in_of(run_dir._lock))
        run_dir.release()

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """The run at ``path``.

        Raises:
            RunDirError: there is none.
        """
        if not os.path.isfile(path / "spec.toml"):  # pathlib raises where a path is too long
            there = "is a file and no run directory" if os.path.exists(path) else "does not exist"
            what = "has no spec.toml, so it holds no run" if os.path.isdir(path) else there
            raise RunDirError(f"{path} {what}.", remedy=Remedy("train", "PRESET", "begins one"))
        return cls(path)

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> RunDir | None:
        """The run that a checkpoint lies in; None for a file on its own."""
        path = checkpoint.resolve().parent.parent
        inside = checkpoint.resolve().parent.name == "checkpoints" and (path / "record.json").is_file()
        return cls(path) if inside else None

    def discard(self) -> None:
        """Take back a directory in which nothing was done yet: only what rescli itself put there."""
        self._forget_data_root()
        remove(self.spec, self.metrics, self._lock, stand_in_of(self._lock))
        with suppress(OSError):  # something else lies there: it stays
            self.path.rmdir()
        self.release()

    def begin_again(self) -> None:
        """Delete what a training wrote, except the lock that the caller holds."""
        remove(self.record, self.metrics, self.curves, self.last.parent, self.state)

    def write_spec(self, spec: RunSpec, data_root: Path | None = None) -> None:
        """Write what is to be trained and where its images lie: from now on this is a run.

        Raises:
            RunDirError: it cannot be written.
        """
        head = f"# {spec.name}: the whole spec of this run. Trained from this file, another is like it.\n\n"
        try:
            self.keep_data_root(data_root)
            content = (head + to_toml(spec.to_dict())).encode()
            write_atomically(self.spec, content, error=CheckpointError)
        except CheckpointError as error:
            raise RunDirError(str(error), remedy=_ANOTHER) from error

    def read_spec(self) -> RunSpec:
        """The spec of the run.

        Raises:
            RunDirError: spec.toml is damaged.
        """
        try:
            return spec_from_dict(parse_toml(read_file(self.spec, most=1 << 20).decode("utf-8-sig")))
        except (OSError, ValueError, RescliError) as error:
            raise RunDirError(f"{self.spec} is damaged: {error}", page="resume-refused") from error

    def keep_data_root(self, data_root: Path | None) -> None:
        """Note where the images lie, for a resume that is not told; None, the usual places, notes nothing."""
        if data_root is not None:
            write_data_root(self.data_root, data_root)

    def read_data_root(self) -> Path | None:
        """The folder of the images that was noted; None for the usual places.

        Raises:
            CheckpointError: the note is damaged.
        """
        return read_data_root(self.data_root)

    def noted_data_root(self) -> Path | None:
        """As ``read_data_root``; None with a warning where the note is damaged."""
        try:
            return self.read_data_root()
        except CheckpointError as error:  # resume needs it; others can do without
            _log.warning("%s", error)
            return None

    def _forget_data_root(self) -> None:
        if self.data_root.is_file():
            remove(self.data_root)
            with suppress(OSError):  # something else lies beside it
                self.state.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory alone. The lock is the kernel's: it ends with the process, however that ends.

        Raises:
            RunDirError: another process holds it.
        """
        with ExitStack() as held:
            try:
                held.enter_context(held_alone(self._lock))
            except InUse as error:
                raise RunDirError(
                    f"{self.path} is in use by {error.owner}.",
                    hint=error.hint or "wait for it, or stop it",
                    remedy=_ANOTHER,
                    page="locks-and-network-disks",
                ) from error
            except OSError as error:
                raise cannot_write(self._lock, error, error=RunDirError, left="nothing was begun") from error
            remove_left_in(self.path)  # others write there, too: an export, a table
            for folder in (self.checkpoints, self.state):
                remove_left_in(folder, alone=True)
            yield

    def in_use(self) -> bool:
        """Whether a process holds the directory now; asked without holding or writing anything."""
        return is_held(self._lock)

    def _make(self) -> bool:
        """Make the directory and those above it; False where it is there already.

        Raises:
            RunDirError: it cannot be made.
        """
        for attempt in range(_TRIES):
            try:
                for folder in (*reversed(self.path.parents), self.path):
                    if not os.path.isdir(folder) and self._is_made(folder):
                        self._made.append(folder)
            except FileNotFoundError as error:
                # Another start that failed took it away again in between.
                if attempt == _TRIES - 1:
                    raise self._not_writable(error) from error
            except OSError as error:
                raise self._not_writable(error) from error
            else:
                break
        return self.path in self._made

    def _is_made(self, folder: Path) -> bool:
        try:
            folder.mkdir()
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
            return False
        return True

    def _not_writable(self, error: OSError) -> RunDirError:
        self.release()
        return RunDirError(
            f"cannot write the run directory {self.path}: {error.strerror or error}.",
            remedy=_ANOTHER,
            page="disk-full-read-only-or-failing",
        )


def default_run_path(spec: RunSpec, now: datetime) -> Path:
    """A place below ``runs``, which may be taken: ``cifar10-resnet-20-seed0-20251210-154500``."""
    return Path("runs") / f"{spec.name}-{now:%Y%m%d-%H%M%S}"


def noted_data_root(checkpoint: Path) -> Path | None:
    """Where the run of a checkpoint had its images, where that is still a folder; None for the usual places.

    Args:
        checkpoint: the file; one that lies in no run directory has no such note.
    """
    run_dir = RunDir.of_checkpoint(checkpoint)
    noted = run_dir.noted_data_root() if run_dir is not None else None
    if noted is None or os.path.exists(noted):
        return noted
    of_user = os.environ.get("RESCLI_DATA")
    taken = f"those of RESCLI_DATA are taken: {of_user}" if of_user else "the usual ones are tried"
    gone = "%s is gone, where the run of %s read its images; unless another place is named, %s"
    _log.warning(gone, noted, checkpoint, taken)
    return None
