"""The nets as arithmetic: Table 1's rows, parameters and multiply-adds, without building anything.

``complexity`` counts the same numbers on the built net with hooks; the tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rescli import paper

__all__ = ["CONVS_PER_BLOCK", "ConvLayer", "Layout", "Row", "resnet_layout", "stage_counts"]

CONVS_PER_BLOCK = {"basic": 2, "bottleneck": 3}
_EXPANSION = {"basic": 1, "bottleneck": 4}


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """A square convolution without bias, followed by batch normalisation."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    output_size: int
    """Side of the output map in pixels."""

    @property
    def params(self) -> int:
        """Weights plus batch normalisation's scale and shift."""
        return self._weights + 2 * self.out_channels

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""
        return self._weights * self.output_size**2

    @property
    def activations(self) -> int:
        """Output elements per image."""
        return self.out_channels * self.output_size**2

    @property
    def _weights(self) -> int:
        return self.in_channels * self.out_channels * self.kernel**2


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of Table 1, or of the table in section 4.2."""

    name: str
    output_size: int
    """Side of the output map in pixels."""
    text: str
    """As printed: ``[3×3, 64; 3×3, 64] × 2``."""
    stride: int
    """Input size over output size of the row."""
    params: int
    macs: int
    """Multiply-adds per image."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A whole net in numbers."""

    rows: tuple[Row, ...]
    convs: tuple[ConvLayer, ...]
    """Every convolution, projections included, in the order of the forward pass."""
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply-adds of convolutions and linear layers, per image."""
    activations: int
    """Output elements of all convolutions, per image: what training must keep, in elements."""


def stage_counts(family: str, depth: int, *, convs_per_block: int = 2) -> tuple[int, ...]:
    """Blocks in each stage: n, n, n on CIFAR (section 4.2), Table 1's numbers on ImageNet.

    Raises:
        ValueError: the family has no net of that depth.
    """
    if family == "imagenet":
        if depth not in paper.TABLE_1_BLOCKS:
            raise ValueError(
                f"{depth} is not in Table 1, which has {' '.join(map(str, paper.TABLE_1_BLOCKS))}"
            )
        return paper.TABLE_1_BLOCKS[depth]
    n, rest = divmod(depth - 2, 3 * convs_per_block)
    if rest or n < 1:
        raise ValueError(f"{depth} is not {3 * convs_per_block}n+2")
    return (n, n, n)


def resnet_layout(
    *,
    family: Literal["cifar", "imagenet"],
    depth: int,
    shortcut: Literal["A", "B", "C"] | None,
    width: int,
    block: Literal["basic", "bottleneck"],
    stride_on: Literal["1x1", "3x3"] = "1x1",
    num_classes: int,
    image_size: int,
) -> Layout:
    """Count a ResNet, or a plain net where ``shortcut`` is None.

    Args:
        width: channels of the stem; stage s has ``width * 2**s`` inner channels.
        image_size: side of the square input in pixels.

    Raises:
        ValueError: the family has no net of that depth.
    """
    counts = stage_counts(family, depth, convs_per_block=CONVS_PER_BLOCK[block])
    kernel, stride = (7, 2) if family == "imagenet" else (3, 1)
    stem = _conv(3, width, kernel, stride, image_size)
    convs = [stem]
    rows = [_row("conv1", stem.output_size, f"{kernel}×{kernel}, {width}", stride, convs)]

    size, channels, pooling, pool_stride = stem.output_size, width, "", 1
    if family == "imagenet":
        size, pooling, pool_stride = _shrunk(size, 2), "3×3 max pool, stride 2; ", 2
    for stage, count in enumerate(counts):
        inner = width * 2**stage
        first_stride = 1 if stage == 0 else 2
        out = inner * _EXPANSION[block]
        added: list[ConvLayer] = []
        for index in range(count):
            step = first_stride if index == 0 else 1
            added += _block(block, channels, inner, step, size, stride_on)
            if shortcut == "C" or (shortcut == "B" and (step != 1 or channels != out)):
                added.append(_conv(channels, out, 1, step, size))
            size, channels = _shrunk(size, step), out
        text = f"{pooling}{_bracket(block, inner)} × {count}"
        rows.append(_row(f"conv{stage + 2}_x", size, text, pool_stride * first_stride, added))
        convs += added
        pooling, pool_stride = "", 1

    head_macs = channels * num_classes
    rows.append(
        Row(
            name="fc",
            output_size=1,
            text=f"global average pool, {num_classes}-d fc",
            stride=size,
            params=head_macs + num_classes,
            macs=head_macs,
        )
    )
    return Layout(
        rows=tuple(rows),
        convs=tuple(convs),
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        activations=sum(conv.activations for conv in convs),
    )


def _block(
    block: str, in_channels: int, inner: int, stride: int, size: int, stride_on: str
) -> Iterator[ConvLayer]:
    if block == "basic":
        yield _conv(in_channels, inner, 3, stride, size)
        yield _conv(inner, inner, 3, 1, _shrunk(size, stride))
        return
    on_1x1, on_3x3 = (stride, 1) if stride_on == "1x1" else (1, stride)
    yield _conv(in_channels, inner, 1, on_1x1, size)
    yield _conv(inner, inner, 3, on_3x3, _shrunk(size, on_1x1))
    yield _conv(inner, inner * 4, 1, 1, _shrunk(size, stride))


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int, size: int) -> ConvLayer:
    return ConvLayer(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        stride=stride,
        output_size=_shrunk(size, stride),
    )


def _shrunk(size: int, stride: int) -> int:
    """Output side of a convolution or pool with padding ``kernel // 2``: rounded up."""
    return -(-size // stride)


def _bracket(block: str, inner: int) -> str:
    if block == "basic":
        return f"[3×3, {inner}; 3×3, {inner}]"
    return f"[1×1, {inner}; 3×3, {inner}; 1×1, {inner * 4}]"


def _row(name: str, output_size: int, text: str, stride: int, convs: Sequence[ConvLayer]) -> Row:
    return Row(
        name=name,
        output_size=output_size,
        text=text,
        stride=stride,
        params=sum(conv.params for conv in convs),
        macs=sum(conv.macs for conv in convs),
    )
