"""Whether a lock is held is found out without taking it away from anybody."""

import errno
import fcntl
import os
import socket
import threading
import time

import pytest

from rescli.hardware.disk import file_lock
from rescli.hardware.disk.file_lock import InUse, held_alone, is_held, stand_in_of


def test_a_lock_is_held_for_as_long_as_its_block_lasts(tmp_path):
    lock = tmp_path / ".lock"
    assert not is_held(lock)
    with held_alone(lock):
        assert is_held(lock)
        assert is_held(lock)
    assert lock.exists()
    assert not is_held(lock)


def test_asking_writes_nothing(tmp_path):
    lock = tmp_path / ".lock"
    is_held(lock)
    assert list(tmp_path.iterdir()) == []
    lock.write_text("process 1")
    before = lock.stat()
    is_held(lock)
    assert (lock.read_text(), lock.stat().st_mtime_ns) == ("process 1", before.st_mtime_ns)


def test_a_pipe_by_its_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    assert not is_held(tmp_path / ".lock")


def test_who_begins_while_somebody_asks_is_not_refused(tmp_path):
    lock = tmp_path / ".lock"
    lock.touch()
    number = os.open(lock, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_SH)

    def let_go():
        time.sleep(0.1)
        os.close(number)

    asking = threading.Thread(target=let_go)
    asking.start()
    with held_alone(lock):
        assert is_held(lock)
    asking.join()


def test_two_who_ask_in_turn_refuse_nobody(tmp_path, monkeypatch):
    """At each of the first looks somebody asks again."""
    lock = tmp_path / ".lock"
    lock.touch()
    looks, flock = [], fcntl.flock

    def asked(number, operation):
        if operation & fcntl.LOCK_EX:
            looks.append(number)
            if len(looks) < 6:
                raise BlockingIOError(errno.EWOULDBLOCK, "")
        flock(number, operation)

    monkeypatch.setattr(fcntl, "flock", asked)
    with held_alone(lock):
        assert len(looks) == 6


def test_one_that_holds_it_refuses_at_once(tmp_path, monkeypatch):
    lock = tmp_path / ".lock"
    monkeypatch.setattr(time, "sleep", None)
    with held_alone(lock), pytest.raises(InUse, match="process"), held_alone(lock):
        pass


def test_who_asks_without_an_end_refuses_after_a_while(tmp_path, monkeypatch):
    lock = tmp_path / ".lock"
    monkeypatch.setattr(file_lock, "_LOOKING_SECONDS", 0.05)
    lock.touch()
    number = os.open(lock, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_SH)
    with pytest.raises(InUse), held_alone(lock):
        pass
    os.close(number)
    with held_alone(lock):
        assert is_held(lock)


def test_a_file_that_stands_in_for_a_lock_counts(tmp_path):
    lock = tmp_path / ".lock"
    held = stand_in_of(lock)
    held.write_text(f"process {os.getppid()} on {socket.gethostname()}")
    assert is_held(lock)
    held.write_text("process 1 on another-machine")
    assert is_held(lock)
    held.write_text(f"process {2**22 + 1} on {socket.gethostname()}")  # more than there are numbers
    assert not is_held(lock)
