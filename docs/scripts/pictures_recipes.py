"""Make the pictures of docs/recipes from a real run: python docs/scripts/pictures_recipes.py

It is ``rescli train quickstart``: two minutes on an idle CPU, no download.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import rescli

IMAGES = Path(__file__).resolve().parents[1] / "img"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run = rescli.train(rescli.spec("quickstart"), out=Path(scratch) / "run", device="cpu")
        evaluated = rescli.evaluate(run, split="val")
        print(evaluated)
        evaluated.mistakes_figure(most=12).savefig(IMAGES / "mistakes.png", dpi=80)
        evaluated.confusion_figure().savefig(IMAGES / "confusion.png", dpi=80)


if __name__ == "__main__":
    main()
