"""Nobody reads, nothing can be written, no terminal as it should be: the work is done all the same."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from trials.case import Case, faults
from trials.jobs import Workplace, by_name
from trials.left import differences, left_in

ROUND = ("predict", "train", "data tidy", "import", "eval", "data pack", "train photographs", "data prepare")
ASKING = (("show", "net.safetensors"), ("show", "net.safetensors", "--json"), ("models",), ("presets",))
WAYS = ("closed", "/dev/full", "a pipe closed at once", "a pipe closed after a line", "a pipe read late")


@faults(short=3, long=45)
def test_stream(case: Case, workplace: Workplace, tmp_path: Path) -> None:
    """What is written to files is there, and the exit code says so."""
    job = by_name(ROUND[case.number % len(ROUND)])
    way, streams = WAYS[case.number % len(WAYS)], case.dice.choice(("stdout", "stderr", "both"))
    whole, place = workplace.undisturbed(job), workplace.place(job)
    case.tries(f"stream: {job.name}", f"{streams}: {way}")
    env = {"PYTHONUNBUFFERED": case.dice.choice(("", "1"))}
    names = ("stdout", "stderr") if streams == "both" else (streams,)
    try:
        with contextlib.ExitStack() as stack:
            given = {name: stack.enter_context(stream(tmp_path / name, way)) for name in names}
            ended = workplace.run(job, place, seconds=60, env=env, **given)
        # A disk that takes no result is a failure, though of nothing but that; a reader that left is none.
        full = way == "/dev/full" and streams != "stderr"
        ended.require(case, 0, *((1,) if full else ()))
        if ended.code == 1 and streams == "stdout" and "the work itself is done" not in ended.err:
            raise case.fails("wrong exit", f"the result is not said: {ended.err[-1000:]}")
        found = differences(left_in(place), whole.left)
        if found:
            raise case.fails("lost", str(found))
    finally:
        workplace.clear(place)


@faults(short=1, long=15)
def test_stream_of_an_answer(case: Case, workplace: Workplace, tmp_path: Path) -> None:
    """Where the answer is all that there is, exit code 0 says that it was written."""
    way = WAYS[case.number % len(WAYS)]
    argv = case.dice.choice(ASKING)
    case.tries("stream: an answer", f"{' '.join(argv)}: {way}")
    place = workplace.place(by_name("eval"))
    try:
        with stream(tmp_path / "stdout", way) as stdout:
            ended = workplace.run(by_name("eval"), place, argv=argv, stdout=stdout, seconds=60)
        ended.require(case)
        if way == "/dev/full" and ended.code == 0:
            raise case.fails("unnoticed", "exit 0, and nothing was written")
        if way == "a pipe read late":
            ended.require(case, 0)
    finally:
        workplace.clear(place)


@contextlib.contextmanager
def stream(path: Path, way: str) -> Iterator[str]:
    """What ``ForkServer.start`` is to open."""
    if not way.startswith("a pipe"):
        yield way
        return
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read() -> None:
        while not done.wait(0.005):
            piece = _read(reader)
            if piece is None or piece:  # somebody opened it to write
                break
        if way == "a pipe closed after a line":
            while not piece and not done.wait(0.005):
                piece = _read(reader)
        elif way == "a pipe read late":
            time.sleep(1)
            while not done.wait(0.005):
                _read(reader)
        os.close(reader)

    done, thread = threading.Event(), threading.Thread(target=read)
    thread.start()
    try:
        yield str(path)
    finally:
        done.set()
        thread.join()


def _read(descriptor: int) -> bytes | None:
    """What was written; None where nothing is, but somebody could."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None


SIZES = ((1, 1), (24, 80), (2, 500), (1000, 10), (0, 0), (65535, 65535))
TERMS = (None, "", "dumb", "no-such-terminal", "xterm-256color", "linux", "vt52")
COLOURS: tuple[dict[str, str], ...] = (
    *({}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "", "CLICOLOR_FORCE": "1"}),
)
LINES: tuple[dict[str, str], ...] = (
    *(
        {},
        {"COLUMNS": "1", "LINES": "1"},
        {"COLUMNS": "500", "LINES": "2"},
        {"COLUMNS": "-3"},
        {"LINES": "x"},
    ),
)


@faults(short=1, long=25)
def test_terminal(case: Case, workplace: Workplace) -> None:
    job = by_name(ROUND[(case.number + 1) % len(ROUND)])
    size, term = case.dice.choice(SIZES), case.dice.choice(TERMS)
    env = {"TERM": term, **case.dice.choice(COLOURS), **case.dice.choice(LINES)}
    background, goes = case.dice.random() < 0.2, case.dice.random() < 0.15
    whole, place = workplace.undisturbed(job), workplace.place(job)
    how = f"{size[0]} lines of {size[1]}, {env}" + ", in the background" * background + ", which goes" * goes
    case.tries(f"terminal: {job.name}", how)
    ours, theirs = pty.openpty()
    shown, done = bytearray(), threading.Event()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def read() -> None:
        while not done.is_set():
            try:
                shown.extend(os.read(ours, 1 << 16))
            except OSError:
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        name = os.ttyname(theirs)
        running = workplace.start(
            job, place, stdout=name, stderr=name, env=env, in_background=background and not goes
        )
        if goes:  # as when the window is closed: SIGHUP, and nothing can be written any more
            time.sleep(case.dice.uniform(0.2, 0.2 + whole.seconds))
        ended = running.wait(1 if goes else 60) if not goes else None
        if ended is not None:
            ended.require(case, 0)
            if b"Traceback" in shown:
                raise case.fails("traceback", shown.decode(errors="replace")[-2000:])
            found = differences(left_in(place), whole.left)
            if found:
                raise case.fails("lost", str(found))
    finally:
        done.set()
        os.write(theirs, b"\n")
        thread.join()
        os.close(theirs)
        os.close(ours)
    try:
        if goes:
            running.wait(60).require(case, 0, 130, -1)
            ended = workplace.finish(job, place)
            ended.require(case, 0, 2)
            found = differences(left_in(place), whole.left)
            if [text for text in found if not text.startswith("left over")]:
                raise case.fails("lost", str(found))
    finally:
        workplace.clear(place)
