"""``rescli data pack``: a folder of photographs as a few large files that load faster."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.output.messages import say
from rescli.errors import CheckpointError, UsageError

__all__ = ["pack"]


def pack(
    name: Annotated[str, typer.Argument(help="imagefolder or imagenet.")],
    out: Annotated[Path, typer.Option(help="The folder to make; must not exist.", metavar="DIR")],
    data_root: Annotated[
        Path | None, typer.Option(help="Where the photographs lie; else RESCLI_DATA.", metavar="DIR")
    ] = None,
    short_side: Annotated[
        int,
        typer.Option(
            min=32,
            help="Larger images are reduced to this shorter side. 480 keeps what the paper's augmentation "
            "can show; 256 loads fastest and trains on less detail.",
        ),
    ] = 480,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG, where an image is reduced.")] = 90,
) -> None:
    """Pack photographs into one file for each split; give its folder as --data-root from then on.

    rescli data pack imagefolder --data-root photos --out photos-packed
    """
    if os.path.lexists(out):
        raise UsageError(f"--out {out} exists and is not overwritten.", hint="name another folder")

    from rescli.cli.data.output import verify_progress
    from rescli.data.photos.image_files import ImageFiles
    from rescli.data.photos.packed import write_index, write_packed_split
    from rescli.spec.from_names import named_dataset

    dataset = named_dataset(name)
    if not dataset.any_size:
        raise UsageError(f"{name} has images of one size in memory; there is nothing to pack.")
    counts: dict[str, int] = {}
    class_names: tuple[str, ...] = ()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
        try:
            with verify_progress() as progress:
                for split in dataset.splits(data_root):
                    progress.reading(split)
                    files = dataset.build(data_root, (split,))[split]
                    assert isinstance(files, ImageFiles)
                    progress.checking(split, len(files))
                    write_packed_split(
                        files,
                        staging,
                        split,
                        short_side=short_side,
                        quality=quality,
                        threads=os.cpu_count() or 1,
                        progress=progress.done,
                    )
                    counts[split], class_names = len(files), files.class_names
            write_index(staging, class_names, counts)
            staging.rename(out)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(f"cannot write {out}: {error.strerror or error}; nothing was left.") from error
    size = sum(file.stat().st_size for file in out.iterdir())
    say(f"{sum(counts.values())} images, {size / 1e6:.1f} MB")
    print(out)
