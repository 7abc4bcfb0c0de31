"""Work on many things in threads, a little ahead of whoever takes the results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import TypeVar

__all__ = ["map_ahead", "map_quick"]

S = TypeVar("S")
T = TypeVar("T")

_CHUNK = 64
_LEAVING_SECONDS = 2.0
_QUICK_SECONDS = 0.0005
"""What takes longer waits for a disk or a network, where it pays to ask for several things at once; from
memory, threads that wait for each other are slower than one."""


def map_ahead(function: Callable[[S], T], items: Iterable[S], *, threads: int) -> Iterator[T]:
    """``function(item)`` of each item, in order, computed ahead in ``threads`` threads.

    At most four results per thread wait, so memory is bounded whatever the number of items;
    ``Executor.map`` would queue them all at once. What ``function`` raises is raised in its turn.
    """
    ahead = 4 * threads
    pool = ThreadPoolExecutor(max_workers=threads)
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield _first_of(waiting)
        while waiting:
            yield _first_of(waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        # Who leaves early is not to wait for a disk that does not answer.
        begun = [future for future in waiting if not future.cancelled()]
        if not wait(begun, timeout=_LEAVING_SECONDS).not_done:
            pool.shutdown()


def _first_of(waiting: deque[Future[T]]) -> T:
    result = waiting[0].result()  # who is interrupted here leaves one that is still at work
    waiting.popleft()
    return result


def map_quick(function: Callable[[S], T], items: Sequence[S], *, threads: int) -> Iterator[T]:
    """As ``map_ahead``, for work of microseconds each, such as reading small files.

    One at a time while that is quick; once it is waited for, many at a time in ``threads`` threads.
    """
    done = 0
    while done < len(items):
        chunk = items[done : done + _CHUNK]
        began = time.perf_counter()
        found = [function(item) for item in chunk]
        seconds = time.perf_counter() - began
        yield from found
        done += len(chunk)
        if seconds > _QUICK_SECONDS * len(chunk):
            break
    rest = [items[at : at + _CHUNK] for at in range(done, len(items), _CHUNK)]
    chunks = map_ahead(lambda chunk: [function(item) for item in chunk], rest, threads=threads)
    yield from chain.from_iterable(chunks)
