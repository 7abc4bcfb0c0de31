"""Reads what a command suggests as people do, and types it where it was suggested."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from photographs import put_pictures
from suggestions import each_flag, suggestions_of, with_flags, without_note

import rescli as library
from rescli import registry
from rescli.cli.remedies import as_flag
from rescli.errors import Interrupted, RescliError
from rescli.remedy import Remedy

ROOT = Path(library.__file__).parent.parent


@dataclass(frozen=True)
class Heard:
    """What a command suggested, and which remedies of the source it printed.

    Attributes:
        suggestions: each a whole command, or flags to be typed beside what was typed before.
        printed: ``"runs/directory.py out"``, of each remedy that can be read in the output.
    """

    suggestions: list[str]
    printed: set[str]
    err: str


def _file_of(frame: Any) -> str | None:
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(f"{ROOT}/rescli/") and not name.endswith("/remedy.py"):
            return str(Path(name).relative_to(ROOT / "rescli"))
        frame = frame.f_back
    return None


@pytest.fixture
def remedies(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Remedy]]:
    """Each remedy that is made, or that an error takes, with the file that it is written in."""
    found: list[tuple[str, Remedy]] = []
    init, raised = Remedy.__init__, RescliError.__init__

    def made(self: Remedy, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if sys._getframe(1).f_code.co_filename.startswith(str(ROOT)) and (file := _file_of(sys._getframe(1))):
            found.append((file, self))

    def taken(self: RescliError, *args: Any, **kwargs: Any) -> None:
        raised(self, *args, **kwargs)
        known = {id(remedy) for _, remedy in found}
        file = _file_of(sys._getframe(1))
        of_modules = [one for one in (*self.remedies, *self.given) if id(one) not in known]
        if file:
            found.extend((file, one) for one in of_modules)

    monkeypatch.setattr(Remedy, "__init__", made)
    monkeypatch.setattr(RescliError, "__init__", taken)
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory in which a situation is made."""
    made = tmp_path / "place"
    made.mkdir()
    monkeypatch.chdir(made)
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    return made


@pytest.fixture
def photos(place: Path) -> Path:
    """Cats and dogs, three of each in train and in val."""
    names = [
        f"{split}/{name}/{name}{number}.jpg"
        for split in ("train", "val")
        for name in ("cat", "dog")
        for number in range(3)
    ]
    return put_pictures(place / "photos", *names)


@pytest.fixture
def heed(
    rescli: Callable[..., Any],
    remedies: list[tuple[str, Remedy]],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Heard]:
    """``heed("train ...", 3, DIR="photos")`` types a command and then, each by itself, what it suggests."""

    def call(
        typed: str,
        code: int,
        *,
        reaches: Sequence[str] = (),
        says: str | None = None,
        dropped: Sequence[str] = (),
        behind: str = "",
        then_again: bool = False,
        each: bool = False,
        both: bool = False,
        ends: Mapping[str, int] | None = None,
        fill: Mapping[str, str] | None = None,
        mended: Callable[[str], object] = lambda _suggestion: None,
        **words: object,
    ) -> Heard:
        """Type a command and all that it suggests, each suggestion in a copy of the place of its own.

        Args:
            typed: the command without its program, in the place.
            code: the exit code that it is refused with; 0 where it only suggests.
            reaches: the remedies that it prints, as ``Heard.printed`` has them.
            says: a pattern whose first group is a suggestion within a sentence.
            dropped: flags that the message asks to leave out.
            behind: what makes a suggested training short, typed behind a whole command.
            then_again: a suggested command makes what the first one lacked.
            each: the flags of one line are said to be alternatives.
            both: the flags of all lines are said to be needed.
            ends: part of a suggestion to the exit code it ends with where that is not 0; why, its test says.
            fill: words and what stands for them, where the word alone could be either of two.
            mended: what the message asks for beside, called with each suggestion before it is typed.
            words: what stands for a word in capitals; by a part of the suggestion where it differs.
        """
        remedies.clear()
        first, number = shlex.split(typed), len([*tmp_path.iterdir()])
        before, after = tmp_path / f"before{number}", tmp_path / f"after{number}"
        shutil.copytree(place, before, symlinks=True)
        answer = rescli(*first)
        output = f"{answer.err}\n{answer.out}"
        assert answer.code == code, output[-1500:]
        shutil.copytree(place, after, symlinks=True)
        made = list(remedies)
        printed = {
            f"{file} {one.setting}"
            for file, one in made
            for parameters in (None, registry_parameters(first[0]))
            if without_note(as_flag(one, parameters)) in output
        }
        suggestions = [*suggestions_of(output)]
        if says is not None:
            suggestions += re.findall(says, output)
        if each:
            suggestions = [one for line in suggestions for one in each_flag(line)]
        if both:
            suggestions = [" ".join(suggestions)]
        assert suggestions, output
        for number, suggestion in enumerate(suggestions):
            shutil.rmtree(place)
            shutil.copytree(after, place, symlinks=True)
            monkeypatch.chdir(place)
            mended(suggestion)
            line = suggestion
            for part, text in (fill or {}).items():
                line = line.replace(part, text)
            for word, given in words.items():
                value = given
                if isinstance(given, Mapping):
                    value = next(value for part, value in given.items() if part in suggestion)
                line = re.sub(rf"(?<![A-Z_]){word}(?![A-Z_])", str(value), line)
            line = line.replace("NEW_DIR", f"anew{number}")
            assert not re.search(r"\b[A-Z]{4,}\b", re.sub(r"/\S*", "", line)), f"{line!r} is not filled"
            again = _type(rescli, line, [word for word in first if word not in dropped], behind)
            if then_again:
                again = rescli(*first)
            wanted = next((end for part, end in (ends or {}).items() if part in suggestion), 0)
            said = f"{line}\n{again.err}\n{again.out[-500:]}"
            assert again.code == wanted, said
            assert code == 0 or _error(again.err) != _error(answer.err) or not _error(answer.err), said
        shutil.rmtree(place)
        shutil.copytree(before, place, symlinks=True)
        monkeypatch.chdir(place)
        assert {*reaches} <= printed, f"printed: {sorted(printed)}\n{output}"
        return Heard(suggestions, printed, answer.err)

    return call


def _type(rescli: Callable[..., Any], line: str, first: Sequence[str], behind: str) -> Any:
    if not line.startswith("rescli "):
        return rescli(*with_flags(first, shlex.split(line)))
    line, into = line.split(" > ") if " > " in line else (line, None)
    answer = rescli(*shlex.split(line)[1:], *shlex.split(behind))
    if into is not None:
        Path(into.strip()).write_text(answer.out)
    return answer


def _error(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("error: ")]


def registry_parameters(command: str) -> set[str] | None:
    """The parameters of a command, by which a key is worded as its flag; None of a group of commands."""
    import inspect

    import typer

    found = registry.load("commands", command)
    return None if isinstance(found, typer.Typer) else set(inspect.signature(found).parameters)


class StopAt:
    """Asked before every iteration, it says yes the third time."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > 2

    def interrupting(self) -> AbstractContextManager[None]:
        return nullcontext()


def _stop(spec: str, out: Path, data_root: Path | None = None, **changes: object) -> Path:
    """A run of four iterations that was stopped after two."""
    changes |= {
        "model.depth": 8,
        "model.width": 4,
        "iterations": 4,
        "data.batch_size": 4,
        "precision": "fp32",
    }
    with pytest.raises(Interrupted):
        library.train(
            library.spec(spec, changes),
            out=out,
            data_root=data_root,
            device="cpu",
            threads=1,
            workers=0,
            progress=False,
            stopping=lambda: nullcontext(StopAt()),
        )
    return out


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the shapes that was stopped."""
    few = {f"data.dataset.{key}": 20 for key in ("num_train", "num_val", "num_test")}
    return _stop("shapes/base", tmp_path_factory.mktemp("runs") / "run", **few)


@pytest.fixture
def stopped(place: Path, stopped_run: Path) -> Path:
    return Path(shutil.copytree(stopped_run, place / "run"))


@pytest.fixture
def stopped_on_photos(photos: Path) -> Path:
    return _stop("imagefolder/32", photos.with_name("run"), photos)


@pytest.fixture
def stop() -> Callable[..., Path]:
    """``stop("shapes/base", out, data_root)``: a run of four iterations that was stopped after two."""
    return _stop
