"""Write docs/numbers/evidence.md from benchmarks/results: what our own training has reached, and what not.

    python docs/scripts/evidence.py

Nothing is filled in: a run that is not finished is shown with its iteration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from evidence_chance import crossing, early, first_losses, gradients
from evidence_results import DOCS, EVIDENCE, WHOLE, net_of, read, records, seed_of, table
from pictures import note, with_few_colours

from rescli.durations import format_seconds
from rescli.plurals import counted
from rescli.studies.paper_items import paper_item

SHORT = (
    "rescli compare he2015/resnet-20 he2015/plain-20 he2015/resnet-56 he2015/plain-56 --precision fp32 "
    "--set iterations=4000 --set 'schedule.milestones=[2000,3000]'"
)
PAGE = DOCS / "numbers" / "evidence.md"


def state(record: dict[str, Any]) -> str:
    done, whole = record["iterations_done"], record["iterations"]
    return "finished" if done == whole else f"{done:,} of {whole:,} iterations"


def conditions(record: dict[str, Any]) -> str:
    seconds, torch = format_seconds(record["train_seconds"]), record["versions"]["torch"]
    return f"{seconds} of training on {record['device']}, {record['precision']}, torch {torch}"


def with_interval(result: dict[str, Any] | None) -> str:
    if result is None:
        return "–"
    low, high = result["interval95"]
    return f"**{result['top1_error']:.2f} %** [{low:.2f}, {high:.2f}]"


def whole_schedule(found: list[dict[str, Any]]) -> Iterator[str]:
    published = {
        net.preset: net.published.mean or net.published.top1_error
        for net in paper_item("table6").nets
        if net.preset is not None and net.published is not None
    }
    rows = []
    for record in found:
        if record["iterations"] == WHOLE:
            net = net_of(record)
            error = with_interval(record["results"].get("test"))
            paper = published.get(f"he2015/{net}")
            theirs = f"{paper:.2f} %" if paper else "–"
            rows.append((net, seed_of(record), theirs, error, state(record), conditions(record)))
    yield from table(("net", "seed", "the paper", "test error", "state", "conditions"), rows)


def beside_another(found: list[dict[str, Any]]) -> Iterator[str]:
    peer = read(EVIDENCE / "peer.json")
    if peer is not None:
        test = peer["test"]
        rows = [
            (name, f"{mean:.2f} ± {std:.2f} ({count})", ", ".join(f"{error:.2f}" for error in test[key]))
            for name, key, mean, std, count in zip(
                ("rescli", "akamaster's"),
                ("rescli", "peer"),
                test["means"],
                test["stds"],
                test["counts"],
                strict=True,
            )
        ]
        yield from table(("training", "test error in %, mean ± std (seeds)", "each seed"), rows)
        low, high = test["interval95"]
        holds = (
            "holds 0: so few seeds cannot tell the two apart"
            if low <= 0 <= high
            else "does not hold 0: the two differ"
        )
        yield ""
        yield (
            f"The difference is {test['difference']:+.2f} points; its 95 % interval by Welch, "
            f"{low:+.2f} to {high:+.2f}, {holds} (p = {test['p_welch']:.2g}). Differences from "
            f"{test['detectable']:.2f} points would be found 4 times in 5."
        )
        return
    theirs = [read(path) for path in sorted(EVIDENCE.glob("peer/*.json"))]
    ours = [r for r in found if net_of(r) == "resnet-20" and r["iterations"] == 4000]
    yield "Not finished yet:"
    yield ""
    rows = [("rescli", seed_of(r), state(r)) for r in ours]
    rows += [("akamaster's", str(p["seed"]), f"finished, test error {p['test_error']:.2f} %") for p in theirs]
    yield from table(("training", "seed", "state"), rows)


def degradation(found: list[dict[str, Any]]) -> Iterator[str]:
    compared = read(EVIDENCE / "degradation" / "compare.json")
    if compared is None:
        yield "Not finished yet:"
        yield ""
        short = [r for r in found if r["iterations"] == 4000 and r["name"].endswith("seed0")]
        yield from table(("net", "state"), [(net_of(r), state(r)) for r in short])
        return
    rows = []
    for row in compared["contenders"]:
        run = row["runs"][0]
        errors = (f"{run[key]:.2f}" for key in ("train_error", "val_error", "test_error"))
        rows.append((row["label"], *errors, format_seconds(run["train_seconds"])))
    yield from table(("net", "training error in %", "validation error", "test error", "training"), rows)
    yield ""
    yield " ".join(compared["summary"])
    yield ""
    yield (
        "![Error against iterations on CIFAR-10, ResNets on the left, plain nets on the right]"
        "(../img/degradation-cifar10.png)"
    )


def interruptions(found: list[dict[str, Any]]) -> Iterator[str]:
    """One row a run that was resumed, with every session of it that its record knows."""
    rows = []
    for record in found:
        if record["resumed_at"]:
            edges = [0, *record["resumed_at"], record["iterations_done"]]
            parts = [f"{begin:,} to {end:,}" for begin, end in pairwise(edges)]
            rows.append((record["name"], "; ".join(parts), state(record)))
    if not rows:
        yield "No run was interrupted yet."
        return
    yield from table(("run", "iterations of each session", "state"), rows)
    journal = EVIDENCE / "journal.jsonl"
    if journal.exists():
        lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
        stopped = sum(line.get("exit_code", 0) != 0 for line in lines)
        begun = [line for line in lines if "ended" not in line]
        first, last = (datetime.fromisoformat(begun[place]["begun"]) for place in (0, -1))
        yield ""
        yield (
            f"Commands of the campaign begun: {counted(len(begun), 'time')}, "
            f"the first {first:%Y-%m-%d %H:%M} and the last {last:%Y-%m-%d %H:%M} UTC; "
            f"stopped with their state saved: {stopped} "
            "([journal](../../benchmarks/results/evidence/journal.jsonl))."
        )


def not_measured(found: list[dict[str, Any]]) -> Iterator[str]:
    """What no record of ours tells."""
    whole = [
        r for r in found if r["iterations_done"] == r["iterations"] == WHOLE and r["results"].get("test")
    ]
    seeds = Counter(net_of(record) for record in whole)
    labels = [(net.label.removesuffix(" A"), net.preset) for net in paper_item("table6").nets if net.preset]
    missing = [label for label, preset in labels if not seeds[preset.removeprefix("he2015/")]]
    if missing:
        yield f"- Of Table 6: {', '.join(missing)}."
    alone = [net for net, count in seeds.items() if count == 1]
    if alone:
        yield f"- The whole schedule with more than one seed: {', '.join(alone)}."
    if not any(record["data"]["dataset"] == "imagenet" for record in found):
        yield "- Tables 2 to 5, and any whole training on ImageNet."
    if not any("cpu" in record["device"] for record in whole):
        yield "- The whole schedule on a CPU."
    if not any(record["ranks"] > 1 for record in found):
        yield "- A whole training on several GPUs, or on several machines."


def page() -> str:
    found = records()
    parts: list[tuple[str, list[str]]] = [
        ("WHOLE", list(whole_schedule(found))),
        ("PEER", list(beside_another(found))),
        ("DEGRADATION", list(degradation(found))),
        ("FIRST LOSSES", list(first_losses())),
        ("EARLY", list(early())),
        ("GRADIENTS", list(gradients())),
        ("CROSSING", list(crossing())),
        ("SHORT", [SHORT]),
        ("INTERRUPTIONS", list(interruptions(found))),
        ("NOT MEASURED", list(not_measured(found))),
    ]
    text = (Path(__file__).with_name("evidence.template")).read_text(encoding="utf-8")
    for name, lines in parts:
        text = text.replace(f"{{{{ {name} }}}}", "\n".join(lines))
    return text


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    picture = EVIDENCE / "degradation" / "curves.png"
    if picture.exists():
        with_few_colours(picture, "degradation-cifar10.png")
        compared = [r for r in records() if r["iterations"] == 4000 and seed_of(r) == "0"]
        note("degradation-cifar10.png", SHORT, max(compared, key=lambda record: str(record["updated"])))


if __name__ == "__main__":
    main()
