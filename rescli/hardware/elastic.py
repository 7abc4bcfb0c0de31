"""torch's elastic launcher in a process that leaves signals to the command that began it.

``python -m rescli.hardware.elastic COUNT PROGRAM IMPORTED`` reads torch and the modules IMPORTED, waits for a
line of JSON on stdin, the arguments, and runs the module PROGRAM with them in COUNT processes, as torchrun
would. They are forked off this one on Linux without a GPU: none of them reads torch again. torch's own answer
to a signal is to end them, with warnings and a traceback; here the command tells them to save and stop, and
the launcher sees them come to their end.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import runpy
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rescli.hardware.stop_signals import STOP_SIGNALS
from rescli.hardware.threads.cores import usable_cores

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent

__all__ = ["END_NOW", "LEAVING_SECONDS", "LOST", "OUTCOME", "RESTARTS", "STOP", "UNBEGUN", "main"]

OUTCOME = "RESCLI_OUTCOME"
"""The environment variable that names a file for the exit code of the run."""

STOP = "stop"
"""The file beside it in which the command says which signal it had, and how many so far."""

LOST = "lost"
"""The file beside it in which the launcher says which process ended and how, a line of JSON for each time."""

UNBEGUN = "unbegun"
"""The file beside it in which the launcher says why it cannot begin the processes."""

END_NOW = signal.SIGVTALRM
"""Makes the launcher end its processes at once. Nobody else sends it."""

RESTARTS = 3
"""How often all processes are begun anew where one is lost."""

_ADDRESS = "127.0.0.1"
"""The address of all processes: the name of a machine may take long to be found, or stand for nothing."""

_LOOK_SECONDS = 1.0
_MONITOR_SECONDS = 0.1
LEAVING_SECONDS = 15.0
"""How long the others have for what they are writing, once one of them or the launcher is lost."""


def main() -> None:
    """Run the launcher with the arguments of the command line.

    The first of them says how many processes share the cores, unless the user said otherwise.
    """
    count, program, *imported = int(sys.argv[1]), sys.argv[2], *sys.argv[3:]
    parent = os.getppid()
    # Ignored here and, until they can answer for themselves, in the processes: the command tells them.
    heeded = [
        number for number in STOP_SIGNALS if signal.signal(number, signal.SIG_IGN) is not signal.SIG_IGN
    ]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if not (os.environ.get("OMP_NUM_THREADS") or "").isdecimal():
        os.environ["OMP_NUM_THREADS"] = str(max(1, usable_cores() // count))
    for module in imported:
        importlib.import_module(module)
    # What happened the command says, in one line.
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL + 1)
    line = sys.stdin.readline()
    if not line:  # the command came to another end, perhaps too suddenly to take this away
        shutil.rmtree(_beside("").parent, ignore_errors=True)
        return
    threading.Thread(target=_stop_with, args=(parent,), daemon=True).start()
    try:
        _launch(count, program, json.loads(line), heeded)
    finally:
        if os.getppid() != parent:  # nobody else is left to take it away
            shutil.rmtree(_beside("").parent, ignore_errors=True)


def _launch(count: int, program: str, arguments: list[str], heeded: Sequence[int]) -> None:
    """Run the program in the processes until all have ended; exits with 1 where one was lost too often.

    Args:
        count: how many processes.
        program: the name of a module.
        arguments: of its command line.
        heeded: the signals that were not ignored when the command began.
    """
    from torch.distributed.elastic.agent.server.api import WorkerSpec
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    # None that anybody sends: torch's agent would end the processes.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = signal.SIGPROF.name
    here = RendezvousParameters(
        backend="c10d",
        endpoint="localhost:0",
        run_id=f"rescli-{os.getpid()}",
        min_nodes=1,
        max_nodes=1,
        local_addr=_ADDRESS,
    )
    handler = get_rendezvous_handler(here)
    spec = WorkerSpec(
        role="rescli",
        local_world_size=count,
        entrypoint=_work,
        args=(program, arguments, heeded),
        rdzv_handler=handler,
        max_restarts=RESTARTS,
        monitor_interval=_MONITOR_SECONDS,
        local_addr=_ADDRESS,
    )
    logs = DefaultLogsSpecs(log_dir=str(_beside("logs")))
    agent = _agent_type()(spec, logs_specs=logs, start_method=_start_method())
    signal.signal(END_NOW, lambda *_: _end(agent))
    with _forking_in_silence():
        try:
            result = agent.run()
        except OSError as error:
            _beside(UNBEGUN).write_text(error.strerror or str(error), encoding="utf-8")
            _end(agent)
    handler.shutdown()
    if result.is_failed():
        sys.exit(1)


def _start_method() -> str:
    """Forked processes share what was read, and could not use a GPU of which this one, unasked, knows more
    than its number: with GPUs each begins for itself."""
    import torch

    return "fork" if sys.platform == "linux" and torch.cuda.device_count() == 0 else "spawn"


def _agent_type() -> type[LocalElasticAgent]:
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent

    class Agent(LocalElasticAgent):
        """Notes which process was lost, and lets the others finish what they are writing."""

        def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
            processes = _processes(self)
            ended = [rank for rank, process in enumerate(processes) if process.exitcode not in (None, 0)]
            if ended:
                rank, how = ended[0], processes[ended[0]].exitcode
                with open(_beside(LOST), "a", encoding="ascii") as file:
                    file.write(
                        json.dumps({"rank": rank, "code": how, "again": self._remaining_restarts}) + "\n"
                    )
                _let_end(processes)
            result: RunResult = super()._monitor_workers(worker_group)
            return result

    return Agent


def _processes(agent: LocalElasticAgent) -> Sequence[BaseProcess]:
    """In the order of their ranks, with the exit code of each, or minus the signal that ended it."""
    started = getattr(agent._pcontext, "_pc", None)  # torch tells their numbers alone
    return [] if started is None else started.processes


def _let_end(processes: Sequence[BaseProcess]) -> None:
    until = time.monotonic() + LEAVING_SECONDS
    while any(process.exitcode is None for process in processes) and time.monotonic() < until:
        time.sleep(_MONITOR_SECONDS)
    for process in processes:
        process.kill()


def _work(program: str, arguments: list[str], heeded: Sequence[int]) -> None:
    """The life of one of the processes: the program, as if it were typed."""
    for number in (*heeded, END_NOW, signal.SIGPROF):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    launcher = os.getppid()
    threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    sys.argv = [program, *arguments]
    code: Any = 0
    try:
        runpy.run_module(program, run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError):  # a full disk, or nobody who reads: said already, and not tried again
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if code or os.getppid() != launcher:
        # At once: what tears down connections may wait for ever on those that are gone.
        os._exit(code if isinstance(code, int) else 1)


def _end_with(launcher: int) -> None:
    """Where the launcher was killed, end this process too, once it had time to save: what tears down
    connections to a launcher that is gone may wait for ever."""
    while os.getppid() == launcher:
        time.sleep(_LOOK_SECONDS)
    time.sleep(LEAVING_SECONDS)
    os._exit(1)


@contextmanager
def _forking_in_silence() -> Iterator[None]:
    """Python 3.12 on warns of a process with threads that forks: these hold nothing that the others use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _end(agent: LocalElasticAgent) -> None:
    for process in _processes(agent):
        process.kill()
    os._exit(1)


def _stop_with(parent: int) -> None:
    """Where the command was killed, let the processes stop as if it had been told to."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    with suppress(FileNotFoundError):  # no process is left to be told
        _beside(f"{STOP}.new").write_text("SIGTERM 1", encoding="ascii")
        _beside(f"{STOP}.new").replace(_beside(STOP))


def _beside(name: str) -> Path:
    return Path(os.environ[OUTCOME]).with_name(name or "outcome")


if __name__ == "__main__":
    main()
