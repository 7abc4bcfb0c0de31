"""Make the pictures of docs/recipes from a real run: python docs/scripts/pictures_recipes.py

It is ``rescli train quickstart``: two minutes on an idle CPU, no download. docs/img/pictures.json notes where
each picture is from.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pictures import IMG, note

import rescli

QUICKSTART = "rescli train quickstart"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run = rescli.train(rescli.spec("quickstart"), out=Path(scratch) / "run", device="cpu")
        evaluated = rescli.evaluate(run, split="val")
        print(evaluated)
        evaluated.mistakes_figure(most=12).savefig(IMG / "mistakes.png", dpi=80)
        evaluated.confusion_figure().savefig(IMG / "confusion.png", dpi=80)
        record = json.loads((Path(scratch) / "run" / "record.json").read_text(encoding="utf-8"))
        for name in ("mistakes.png", "confusion.png"):
            note(name, QUICKSTART, record)


if __name__ == "__main__":
    main()
