"""What ``rescli bench`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rescli.cli.output.messages import say
from rescli.cli.output.results import print_json
from rescli.durations import format_seconds
from rescli.plurals import counted
from rescli.report.console import SafeConsole

if TYPE_CHECKING:
    from rescli.bench.other_load import OtherLoad
    from rescli.bench.summary import BenchRecord

__all__ = ["bench_progress", "print_bench"]


@contextmanager
def bench_progress() -> Iterator[Callable[[str, float | None], None]]:
    """One line that changes, on a terminal; nothing else draws while contenders are timed."""
    console = SafeConsole(stderr=True)
    if not console.is_terminal:
        yield lambda what, seconds_left: say(_progress_text(what, seconds_left))
        return
    with console.status(Text("starts"), refresh_per_second=1) as status:
        yield lambda what, seconds_left: status.update(Text(_progress_text(what, seconds_left)))


def _progress_text(what: str, seconds_left: float | None) -> str:
    return what if seconds_left is None else f"{what}, about {format_seconds(seconds_left)} more"


def print_bench(record: BenchRecord, *, as_json: bool) -> None:
    """A table of speeds, the ratios, and what was counted; or one JSON object."""
    if as_json:
        print_json(record)
        return
    console = SafeConsole()
    # Wrapped between words on a screen, and not at all for a program that reads lines.
    one_line = not console.is_terminal
    console.print(
        f"{record['model']} on {record['dataset']}, batch {record['batch_size']}, {record['precision']}, "
        f"{record['device']}; median [quartiles] of {counted(record['rounds'], 'interleaved round')}",
        soft_wrap=one_line,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("contender", "img/s", "quartiles", "ms/step", "first step", "memory"):
        table.add_column(head, justify="left" if head == "contender" else "right", no_wrap=True)
    for name, row in record["contenders"].items():
        speed = row["images_per_second"]
        table.add_row(
            name,
            f"{speed['median']:,.0f}",
            f"{speed['q1']:,.0f} .. {speed['q3']:,.0f}",
            f"{row['milliseconds_per_step']:.3g}",
            f"{row['first_step_seconds']:.1f} s",
            f"{(row['peak_memory_bytes'] or 0) / 1e9:.2f} GB",
        )
    console.print(table)
    if (beside := record["other_load"]) is not None:
        console.print(_other_load(beside), soft_wrap=one_line)
    for name, ratio in record["ratios"].items():
        unit = "" if "percent" in name else " x"
        console.print(f"{name}: {ratio['median']:.3g}{unit} [{ratio['q1']:.3g}, {ratio['q3']:.3g}]")
    counts = [f"engine {record['engine']}, {record['kernels']} kernels"] if record["engine"] else []
    if operations := record["operations_per_step"]:
        counts.append(f"{counted(operations, 'operation')} a step when eager")
    if kernels := record["kernels_per_step"]:
        counts.append(f"{counted(kernels, 'kernel')} a step")
    if counts:
        console.print(", ".join(counts))
    if (bound := record["roofline"]) is not None:
        console.print(
            f"{bound['percent']:.3g} % of the roofline: {bound['images_per_second_by_flops']:,.0f} img/s by "
            f"arithmetic ({bound['flops_per_second'] / 1e12:.3g} TFLOP/s of a matrix product), "
            f"{bound['images_per_second_by_bytes']:,.0f} by memory "
            f"({bound['bytes_per_second'] / 1e9:.4g} GB/s of a copy)",
            soft_wrap=one_line,
        )
        if (winograd := bound["winograd"]) is not None:
            tile = winograd["tile"]
            console.print(
                f"{winograd['percent']:.3g} % of that with Winograd's F({tile}x{tile}, 3x3) in every 3x3 "
                f"convolution of stride 1, {(tile + 2) ** 2} products in place of {9 * tile**2}: "
                f"{winograd['images_per_second_by_flops']:,.0f} img/s by arithmetic (of products alone, "
                f"{winograd['fewer_products']:.3g} x fewer; its additions are left out)",
                soft_wrap=one_line,
            )
    for name, reason in record["failed"].items():
        console.print(f"{name} did not run: {reason}", soft_wrap=one_line)


def _other_load(beside: OtherLoad) -> str:
    """``beside it: others used 49 % of 2 cores (python 0.98 cores, cc 0.20 cores); 0 % stolen ...``."""
    programs = ", ".join(f"{each['name']} {each['cores']:.2f} cores" for each in beside["programs"])
    return (
        f"beside it: others used {beside['others_percent']:.0f} % of {counted(beside['cores'], 'core')}"
        f"{f' ({programs})' if programs else ''}; {beside['stolen_percent']:.0f} % stolen by the host"
    )
