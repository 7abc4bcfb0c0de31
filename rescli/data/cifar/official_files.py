"""A published data set's files: where they are looked for, downloaded to, and how they are checked.

Nothing found on disk is changed, moved or deleted. Every file's MD5 is compared with the published
one at each reading, so a damaged download is met here and not as a strange accuracy.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import os
import socket
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from rescli.errors import DataError
from rescli.files import cache_dir, open_file, read_file, require_plain_file, writing
from rescli.remedy import Remedy

__all__ = ["OfficialFiles", "default_data_root", "read_checked", "verified_source", "would_download"]

_log = logging.getLogger(__name__)

_SOCKET_TIMEOUT_SECONDS = 15.0
_ELSEWHERE = Remedy("data_root", "DIR", "names another place; so does RESCLI_DATA=DIR")


@dataclass(frozen=True)
class OfficialFiles:
    """What its authors publish: one archive that holds one folder of files."""

    title: str
    folder: str
    archive: str
    archive_bytes: int
    archive_md5: str
    url: str
    md5s: Mapping[str, str]
    """File in the folder to its MD5."""


def default_data_root() -> Path:
    """RESCLI_DATA, else ``rescli`` in the user's cache (XDG_CACHE_HOME, else ~/.cache)."""
    if given := os.environ.get("RESCLI_DATA"):
        return Path(given).expanduser()
    return cache_dir()


def read_checked(
    files: OfficialFiles, data_root: Path | None, *, wanted: tuple[str, ...]
) -> dict[str, bytes]:
    """The bytes of the ``wanted`` files, once the MD5 of every file of the set has matched.

    ``data_root`` is the directory that holds the folder or the archive, or either of these itself;
    None means ``default_data_root()``. Where neither is there, the archive is downloaded to it.

    Raises:
        DataError: files missing, damaged or unreadable, or a download that failed.
    """
    root = _root(data_root)
    try:
        source = _locate(files, root)
        if source is None:
            source = _download(files, root)
        contents = _archive_contents(files, source) if source.is_file() else _folder_contents(files, source)
        return _checked(files, source, contents, wanted)
    except OSError as error:
        raise DataError(
            f"cannot read {files.title} from {root}: {error}.",
            hint="check the path and its permissions",
            remedy=_ELSEWHERE,
        ) from error


def would_download(files: OfficialFiles, data_root: Path | None) -> bool:
    """Whether ``read_checked`` would download the archive first; False too where it would raise.

    Args:
        data_root: as there.
    """
    try:
        return _locate(files, _root(data_root)) is None
    except (OSError, DataError):
        return False


def verified_source(files: OfficialFiles, data_root: Path | None) -> Path | None:
    """Where the set lies, once its MD5s have matched: of each file, or of the archive; nothing is downloaded.

    Args:
        data_root: as for ``read_checked``.

    Returns:
        The folder or the archive; None where neither is there.

    Raises:
        DataError: files missing, damaged or unreadable.
    """
    root = _root(data_root)
    try:
        source = _locate(files, root)
        if source is None:
            return None
        if source.is_dir():
            _checked(files, source, _folder_contents(files, source), ())
            return source
        with open_file(source) as archive:
            found = hashlib.file_digest(archive, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {files.title} from {root}: {error}.", remedy=_ELSEWHERE) from error
    if found != files.archive_md5:
        raise DataError(
            f"{source} is damaged: its MD5 is {found}, expected {files.archive_md5}.",
            hint=_how_to_replace(files, source),
            remedy=_ELSEWHERE,
        )
    return source


def _root(data_root: Path | None) -> Path:
    try:
        return Path(data_root).expanduser() if data_root is not None else default_data_root()
    except RuntimeError as error:
        raise DataError(f"{data_root} cannot be found: {error}") from error


def _locate(files: OfficialFiles, root: Path) -> Path | None:
    """The folder or archive to read; None where the archive should be downloaded into ``root``."""
    if not _exists(root):
        if root.name.endswith((".tar.gz", ".tgz")):
            raise DataError(f"no such file: {root}.", hint=_how_to_provide(files, root.parent))
        return None
    if not root.is_dir():
        require_plain_file(root, DataError)
        return root
    for candidate in (root / files.folder, root / files.archive):
        if _exists(candidate):
            require_plain_file(candidate, DataError)
            return candidate
    is_folder = root.name == files.folder or any((root / name).is_file() for name in files.md5s)
    return root if is_folder else None


def _exists(path: Path) -> bool:
    """As ``Path.exists``, but a path that may not be looked at is an OSError in every Python."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _folder_contents(files: OfficialFiles, folder: Path) -> Iterator[tuple[str, bytes]]:
    present = {path.name for path in folder.iterdir()}
    missing = [name for name in files.md5s if name not in present]
    if missing:
        raise DataError(
            f"{files.title} in {folder} is incomplete: {', '.join(missing)} missing.",
            hint=f"unpack {files.archive} from {files.url} again",
            remedy=_ELSEWHERE,
        )
    for name in files.md5s:
        yield name, read_file(folder / name, most=256 << 20)


def _archive_contents(files: OfficialFiles, archive: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with open_file(archive) as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.parent.name == files.folder and path.name in files.md5s and member.isfile():
                    stream = tar.extractfile(member)
                    assert stream is not None
                    yield path.name, stream.read()
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{archive} is not a whole tar archive of {files.title}: {error}.",
            hint=_how_to_replace(files, archive),
            remedy=_ELSEWHERE,
        ) from error


def _checked(
    files: OfficialFiles, source: Path, contents: Iterator[tuple[str, bytes]], wanted: tuple[str, ...]
) -> dict[str, bytes]:
    kept, missing = {}, set(files.md5s)
    for name, content in contents:
        found, expected = _md5(content), files.md5s[name]
        if found != expected:
            raise DataError(
                f"{name} of {files.title} in {source} is damaged: its MD5 is {found}, expected {expected}.",
                hint=_how_to_replace(files, source),
                remedy=_ELSEWHERE,
            )
        missing.discard(name)
        if name in wanted:
            kept[name] = content
    if missing:
        raise DataError(
            f"{source} lacks files of {files.title}: {', '.join(sorted(missing))}.",
            hint=_how_to_replace(files, source),
            remedy=_ELSEWHERE,
        )
    return kept


def _download(files: OfficialFiles, root: Path) -> Path:
    """Fetch the archive into ``root``; a failure leaves nothing behind."""
    from torchvision.datasets.utils import download_url  # type: ignore[import-untyped]

    _log.warning("downloading %s (%.0f MB) to %s", files.title, files.archive_bytes / 1e6, root)
    # Beside its place, so that the last step is a rename and no half file ever bears the name.
    beside = next(path for path in (root, *root.parents) if path.is_dir())
    place = root / files.archive
    with (
        writing(place, error=DataError, left="nothing was left"),
        tempfile.TemporaryDirectory(prefix=".rescli-download-", dir=beside) as temporary,
    ):
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_SOCKET_TIMEOUT_SECONDS)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                download_url(files.url, temporary, filename=files.archive, md5=files.archive_md5)
        except (OSError, RuntimeError, HTTPException) as error:
            raise DataError(
                f"{files.title} is not in {root}, and downloading {files.url} failed: {error}.",
                hint=_how_to_provide(files, root),
                remedy=_ELSEWHERE,
                page="download-fails",
            ) from error
        finally:
            socket.setdefaulttimeout(before)
        root.mkdir(parents=True, exist_ok=True)
        os.replace(Path(temporary) / files.archive, place)
    return place


def _how_to_provide(files: OfficialFiles, root: Path) -> str:
    return f"put {_identity(files)} into {root}"


def _how_to_replace(files: OfficialFiles, source: Path) -> str:
    return f"move {source} away and get it again ({_identity(files)})"


def _identity(files: OfficialFiles) -> str:
    return f"{files.archive}, {files.archive_bytes} bytes, MD5 {files.archive_md5}, from {files.url}"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
