"""A coverage-guided search for files that a reader of rescli's chokes on: one target, some seconds, a seed.

    python tests/faults/fuzz/driver.py TARGET --seconds 3600 --seed 1 [--keep FOLDER]

It needs atheris (the extra ``fuzz``). Every find is written to FOLDER as TARGET-HASH, one for each place
in the code, and printed with its traceback; put it into ``cases/``, where each test run tries it. Exit code
1 where there was a find.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import time
import traceback
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("the search needs atheris: pip install 'rescli[fuzz]'")

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[2])]

with atheris.instrument_imports(
    include=["rescli.stored", "rescli.checkpoints", "rescli.runs", "rescli.importers.exported", "rescli.spec"]
):
    from targets import SEEDS, TARGETS, feed

from mutations import mutated  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=[*TARGETS, "all"], help="what is fed; all: one after another")
    parser.add_argument("--seconds", type=int, default=60, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1, help="of the changes")
    parser.add_argument("--keep", type=Path, default=_HERE / "found", help="folder for the finds")
    given = parser.parse_args()
    if given.target == "all":
        raise SystemExit(_each(given))
    search = _Search(given.target, given.seconds, given.keep)
    corpus = given.keep / f"corpus-{given.target}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[given.target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    for case in (_HERE / "cases").glob(f"{given.target}-*"):
        (corpus / case.name).write_bytes(case.read_bytes())
    options = [
        f"-seed={given.seed}",
        "-max_len=65536",
        "-rss_limit_mb=4096",
        "-timeout=60",
        "-print_final_stats=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], search.one, custom_mutator=search.change)
    atheris.Fuzz()


class _Search:
    """One target under the fuzzer, which never ends by itself."""

    def __init__(self, target: str, seconds: int, keep: Path) -> None:
        self.target, self.keep = target, keep
        self.began = time.monotonic()
        self.ends = self.began + seconds
        self.tried = 0
        self.places: set[str] = set()

    def change(self, data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.1:
            return bytes(atheris.Mutate(data, most))
        return mutated(self.target, data, rng)[:most]

    def one(self, data: bytes) -> None:
        self.tried += 1
        try:
            feed(self.target, data)
        except Exception as error:
            self._found(data, error)
        if time.monotonic() > self.ends:
            took = time.monotonic() - self.began
            print(
                f"{self.target}: {self.tried:,} tried in {took:.0f} s, {len(self.places)} found", flush=True
            )
            os._exit(1 if self.places else 0)

    def _found(self, data: bytes, error: Exception) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "rescli" in frame.filename]
        last = frames[-1] if frames else None
        place = f"{type(error).__name__} {last.filename}:{last.lineno}" if last else type(error).__name__
        if place in self.places:
            return
        self.places.add(place)
        case = self.keep / f"{self.target}-{hashlib.sha256(data).hexdigest()[:12]}"
        case.write_bytes(data)
        print(f"found {case}\n{''.join(traceback.format_exception(error))[-2000:]}", flush=True)


def _each(given: argparse.Namespace) -> int:
    """Every target in a process of its own, with an equal share of the time."""
    import subprocess

    share = max(1, given.seconds // len(TARGETS))
    options = ["--seconds", str(share), "--seed", str(given.seed), "--keep", str(given.keep)]
    codes = [subprocess.run([sys.executable, __file__, target, *options]).returncode for target in TARGETS]
    return int(any(codes))


if __name__ == "__main__":
    main()
