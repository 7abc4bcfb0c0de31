"""Put what the campaign has trained so far into benchmarks/results/evidence/.

    python benchmarks/evidence/collect.py SCRATCH_DIR

Of each run its record, spec, metrics (compressed) and curves; of each comparison its numbers and pictures;
the gradients beside float64's; the journal of what was begun and stopped when; and peer.json, another
project's training beside ours with Welch's test. What is not finished is copied as it stands: its record
says how far it is.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rescli.studies.statistics.significance import compare_seeds

RESULTS = Path(__file__).resolve().parents[1] / "results" / "evidence"
PICTURES = ("curves.png", "responses.png")
SEEDS = 3
"""Of each side."""


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def keep(sources: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.exists():
            shutil.copyfile(source, folder / source.name)


def keep_run(run: Path, folder: Path) -> None:
    if not (run / "metrics.jsonl").exists():
        return
    keep([run / name for name in ("record.json", "spec.toml", "curves.png")], folder)
    packed = gzip.compress((run / "metrics.jsonl").read_bytes(), mtime=0)
    (folder / "metrics.jsonl.gz").write_bytes(packed)


def beside_ours(peers: list[dict[str, Any]], scratch: Path) -> dict[str, Any] | None:
    """Another project's seeds beside ours of the same training; None until all are there."""
    comparison = scratch / "seeds" / "compare.json"
    if len(peers) < SEEDS or not comparison.exists():
        return None
    (ours,) = (row for row in read(comparison)["contenders"] if row["model"] == "resnet-20")
    for peer in peers:
        for run in ours["runs"]:
            record = read(scratch / Path(run["checkpoint"]).parents[1] / "record.json")
            alike = {
                "iterations": (run["iteration"], peer["iterations"]),
                "test images": (run["test_sha256"], peer["test_sha256"]),
                "training images": (record["data"]["sha256"]["train"], peer["train_sha256"]),
                "precision": (record["precision"], peer["precision"]),
            }
            differ = {what: pair for what, pair in alike.items() if pair[0] != pair[1]}
            if differ:
                raise SystemExit(f"seed {peer['seed']} of the peer and {run['checkpoint']} differ: {differ}")
    found: dict[str, Any] = {"first": "rescli", "second": peers[0]["peer"]}
    for split in ("test", "train"):
        own, theirs = ([row[f"{split}_error"] for row in rows] for rows in (ours["runs"], peers))
        found[split] = {"rescli": own, "peer": theirs, **asdict(compare_seeds(own, theirs))}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scratch", type=Path)
    scratch: Path = parser.parse_args().scratch
    for folder in ("runs", "early"):
        for run in sorted((scratch / folder).glob("*")):
            keep_run(run, RESULTS / folder / run.name)
    for name in ("degradation", "seeds"):
        if (scratch / name / "compare.json").exists():
            keep([scratch / name / file for file in ("compare.json", *PICTURES)], RESULTS / name)
    keep([scratch / "journal.jsonl", scratch / "gradients.json"], RESULTS)
    peers = [read(path) for path in sorted((scratch / "peer").glob("seed*.json"))]
    for peer in peers:
        write(RESULTS / "peer" / f"seed{peer['seed']}.json", peer)
    if (found := beside_ours(peers, scratch)) is not None:
        write(RESULTS / "peer.json", found)
    for path in sorted(RESULTS.rglob("*.*")):
        print(path.relative_to(RESULTS), path.stat().st_size)


if __name__ == "__main__":
    main()
