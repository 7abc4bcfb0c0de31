"""A signal may come at any moment; two moments are hard to hit from outside, so they are made here."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from rescli.cli.signals import stop_requested
from rescli.errors import Interrupted
from rescli.runs.directory import RunDir
from rescli.spec.load import load_spec
from rescli.studies.queue import RunQueue
from rescli.studies.queued_run import QueuedRun
from rescli.workflows.running import stopping


@pytest.fixture
def signal_when_locked(monkeypatch):
    """SIGTERM to this process when a run directory was locked and nothing else was done yet."""
    locked = RunDir.locked

    def locked_and_hit(self):
        block = locked(self)

        class Hit:
            def __enter__(self):
                block.__enter__()
                signal.raise_signal(signal.SIGTERM)

            def __exit__(self, *exception):
                return block.__exit__(*exception)

        return Hit()

    monkeypatch.setattr(RunDir, "locked", locked_and_hit)


@pytest.mark.usefixtures("signal_when_locked")
def test_train_leaves_nothing_when_hit_while_it_makes_the_directory(rescli, tmp_path):
    answer = rescli("train", "shapes/base", "--iterations", "1", "--out", tmp_path / "run", "-q")
    assert answer.code == 130
    assert "before the first iteration; nothing was begun" in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("signal_when_locked")
def test_a_campaign_leaves_nothing_either(tmp_path):
    run = QueuedRun.below(tmp_path, load_spec("shapes/base"))
    with stop_requested() as stop, pytest.raises(Interrupted):
        RunQueue(
            None,
            "cpu",
            on_event=lambda _event: pytest.fail("training began"),
            should_stop=stop,
            preparing=stop.interrupting,
        ).train([run])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_what_was_ignored_at_the_start_stays_ignored(number):
    """SIGHUP under nohup, SIGINT of a script's background job."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_requested(silent=True) as stop:
            signal.raise_signal(number)
            assert not stop()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_outside_the_block_a_signal_only_sets_the_flag():
    with stop_requested() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()


def test_the_first_signal_is_answered_at_once_and_only_the_first(capsys):
    with stop_requested():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # sooner than a person's second one
        answered = _wait_for_stderr(capsys)
    assert answered.startswith("SIGTERM: stopping as soon as the state is saved; Ctrl-C again ends at once")
    assert capsys.readouterr().err == ""


def test_one_of_several_processes_leaves_the_answer_to_the_first(capsys):
    with stop_requested(silent=True) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop()
    assert capsys.readouterr().err == ""


def _wait_for_stderr(capsys):
    """Of another thread, while this one is still in the middle of its work."""
    deadline = time.monotonic() + 10
    while not (err := capsys.readouterr().err):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return err


def test_within_the_block_it_ends_it():
    def prepare(stop):
        with stop.interrupting():
            signal.raise_signal(signal.SIGHUP)
            pytest.fail("not reached")

    with stop_requested() as stop, pytest.raises(Interrupted, match="SIGHUP"):
        prepare(stop)


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_what_catches_errors_within_the_block_does_not_swallow_it(caught):
    """A test of the kernels, or a reader of a file, that would take the signal for what went wrong."""

    def prepare(stop):
        with stop.interrupting(), contextlib.suppress(caught):
            signal.raise_signal(signal.SIGINT)

    with stop_requested() as stop, pytest.raises(Interrupted, match="SIGINT"):
        prepare(stop)


def test_a_flag_set_before_the_block_ends_it_at_its_beginning():
    with stop_requested() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"), stop.interrupting():
            pytest.fail("not reached")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_what_schedulers_send_before_a_limit_stops_a_run_with_its_state_saved(
    rescli, tmp_path, monkeypatch, number
):
    """Slurm's ``--signal=USR1@90`` would end it unsaved."""
    from rescli.training.engines.eager import EagerEngine

    advance = EagerEngine.advance

    def signalled(*given):
        signal.raise_signal(number)
        return advance(*given)

    monkeypatch.setattr(EagerEngine, "advance", signalled)
    run = tmp_path / "run"
    answer = rescli("train", "shapes/base", "--iterations", 9, "--device", "cpu", "--out", run, "-q")
    assert answer.code == 130
    assert f"{number.name}: stopping as soon as the state is saved" in answer.err
    assert f"--resume {run}" in answer.err
    assert (run / "state" / "latest.json").is_file()


def test_a_callers_own_handler_of_such_a_signal_is_left_to_it():
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda *_: heard.append(1))
    try:
        with stop_requested(silent=True) as stop:
            signal.raise_signal(signal.SIGUSR2)
            assert heard == [1]
            assert not stop()
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU]
)
def test_every_command_answers_signals_in_order(rescli, monkeypatch, number):
    """As the first process of a container it would be deaf to what nobody handles."""

    def hit(*_, **__):
        signal.raise_signal(number)
        pytest.fail("not reached")

    monkeypatch.setattr("rescli.workflows.listings.models.list_models", hit)
    answer = rescli("models")
    assert (answer.code, answer.out, answer.err) == (130, "", f"{number.name}: stopped before it was done.\n")
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_second_control_c_ends_with_a_sentence(rescli, monkeypatch):
    monkeypatch.setattr(stopping, "DOUBLE_TAP_SECONDS", -1.0)

    def hit(*_, **__):
        with stop_requested(silent=True):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("not reached")

    monkeypatch.setattr("rescli.workflows.listings.models.list_models", hit)
    answer = rescli("models")
    assert (answer.code, answer.err) == (130, "SIGINT: stopped before it was done.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_midst_of_the_imports_is_answered(number):
    program = (
        "import importlib.abc, os, sys\n"
        "class Hit(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'typer': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Hit())\n"
        "from rescli.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"{number.name}: stopped before it began.\n")
