"""Make the pictures of the handbook's tour from a real run of it.

    python docs/scripts/pictures.py SCRATCH_DIR

Runs the tour as it is typed, copies its pictures to docs/img/, and takes a photograph of its page with
Chromium. docs/img/pictures.json says of each picture which command made it, where and when. About three
minutes on two idle cores; given again, the command uses what SCRATCH_DIR holds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

IMG = Path(__file__).resolve().parents[1] / "img"
TOUR = "rescli compare plain-14 plain-44 resnet-44 --dataset shapes"
COLOURS = 64
"""Of a picture: enough for curves and text, at a third of the size."""


def rescli(command: str, folder: Path) -> None:
    words = shlex.split(command)[1:]
    print(command, flush=True)
    subprocess.run([sys.executable, "-m", "rescli", *words], cwd=folder, check=True)


def with_few_colours(source: Path, name: str) -> None:
    """Copy a picture into docs/img."""
    Image.open(source).convert("RGB").quantize(COLOURS).save(IMG / name, optimize=True)


def keep(source: Path, name: str, made_by: str, comparison: Path) -> None:
    """A picture of few colours, and the note of where it comes from."""
    with_few_colours(source, name)
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in comparison.glob("../runs/*/record.json")
    ]
    note(name, made_by, max(records, key=lambda record: str(record["updated"])))


def note(name: str, made_by: str, record: dict[str, Any]) -> None:
    """Write into docs/img/pictures.json which command made a picture, where and when, and its SHA-256.

    Args:
        name: of the file in docs/img.
        made_by: the command.
        record: of the run that the picture shows, or of the last of them.
    """
    notes = IMG / "pictures.json"
    noted = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    noted[name] = {
        "command": made_by,
        "device": record["device"],
        "trained": record["updated"],
        "versions": record["versions"],
        "sha256": hashlib.sha256((IMG / name).read_bytes()).hexdigest(),
    }
    notes.write_text(json.dumps(dict(sorted(noted.items())), indent=1) + "\n", encoding="utf-8")


def photograph(page: Path, picture: Path) -> bool:
    """The page as a browser shows it; False where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return False
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--window-size=1100,1080", f"--screenshot={picture}", page.as_uri()),
        ],
        check=True,
        capture_output=True,
    )
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scratch", type=Path)
    scratch: Path = parser.parse_args().scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)

    rescli(f"{TOUR} --out tour", scratch)
    tour = scratch / "tour"
    for name in ("curves.png", "responses.png"):
        keep(tour / name, name, TOUR, tour)
    if photograph(tour / "report.html", scratch / "report.png"):
        keep(scratch / "report.png", "report.png", TOUR, tour)
    else:
        print("no Chromium: docs/img/report.png stays as it is")


if __name__ == "__main__":
    main()
