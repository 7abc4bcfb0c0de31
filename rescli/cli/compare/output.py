"""What ``rescli compare`` prints."""

from __future__ import annotations

from rescli.cli.output.columns import print_line
from rescli.cli.output.results import print_json
from rescli.report.comparison.comparison import Comparison
from rescli.report.sparklines import sparkline
from rescli.studies.reproduction import NetCurves

__all__ = ["print_comparison"]


def print_comparison(found: Comparison, *, as_json: bool) -> None:
    """What was shown, the table, curves as sparklines, the verdicts in words; or exactly one JSON object."""
    if as_json:
        print_json({**found.to_dict(), "out": str(found.out)})
        return
    for sentence in found.summary:
        print_line(sentence)
    print(f"\n{found.table()}")
    print()
    print_line(
        "Errors in percent, mean ± std over seeds, of the last weights unless it says best-val; "
        f"{found.tested_on}; train: the training images without augmentation"
    )
    if any(one["scaled"] for one in found.contenders):
        print_line("scaled: not comparable with published numbers")
    for one in found.contenders:
        if published := one["published"]:
            print_line(f"{one['label']}: {published['verdict']} ({published['source']})")
    _print_sparklines(found.net_curves())
    for (one_label, other_label), sentences in found.verdicts.items():
        print()
        print_line(f"{one_label} and {other_label}")
        for sentence in sentences:
            print_line(f"  {sentence}")
    print()
    print_line(f"written to {found.out}")


def _print_sparklines(nets: list[NetCurves]) -> None:
    """Error of the first seed over its iterations, all on one scale."""
    curves = [
        (net.label, split, [error for _, error in points])
        for net in nets
        for split, points in (("train", net.seeds[0].train), ("val", net.seeds[0].val))
        if points
    ]
    if not curves:
        return
    highest = max(max(values) for _, _, values in curves)
    width = max(len(label) for label, _, _ in curves)
    print()
    print_line("Error while training")
    for label, split, values in curves:
        line = sparkline(values, highest=highest)
        print_line(f"{label:{width}}  {split:5}  {values[0]:6.2f}  {line:32}  {values[-1]:6.2f}")
