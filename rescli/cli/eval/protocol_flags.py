"""The flags that name a test protocol, shared by ``rescli eval`` and ``rescli predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from rescli.errors import UsageError

__all__ = ["Flip", "MultiScale", "ProtocolName", "TenCrop", "one_protocol"]

Flip = Annotated[bool, typer.Option("--flip", help="The single view and its mirror image.")]
MultiScale = Annotated[
    bool, typer.Option("--multi-scale", help="Fully convolutional at several scales, with mirror images.")
]
ProtocolName = Annotated[
    str | None,
    typer.Option(help="Another protocol by its name. Unset: single (CIFAR) or center224.", metavar="NAME"),
]
TenCrop = Annotated[
    bool,
    typer.Option("--ten-crop", help="Corners, centre and their mirror images; 32x32 sets padded by 4."),
]


def one_protocol(name: str | None, *, flip: bool, ten_crop: bool, multi_scale: bool) -> str | None:
    """The one protocol that the flags name; None for the set's single view.

    Raises:
        UsageError: more than one.
    """
    flags = {"flip": flip, "ten-crop": ten_crop, "multi-scale": multi_scale}
    given = [flag for flag, is_set in flags.items() if is_set]
    if name is not None:
        given.append(name)
    if len(given) > 1:
        raise UsageError(
            f"one protocol at a time; {' and '.join(given)} were given.",
            hint="ten-crop and multi-scale contain the mirror images; ask for one after the other",
        )
    return given[0] if given else None
