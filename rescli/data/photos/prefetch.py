"""Work on many things in threads, a little ahead of whoever takes the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["map_ahead"]

S = TypeVar("S")
T = TypeVar("T")


def map_ahead(function: Callable[[S], T], items: Iterable[S], *, threads: int) -> Iterator[T]:
    """``function(item)`` of each item, in order, computed ahead in ``threads`` threads.

    At most four results per thread wait, so memory is bounded whatever the number of items;
    ``Executor.map`` would queue them all at once. What ``function`` raises is raised in its turn.
    """
    ahead = 4 * threads
    with ThreadPoolExecutor(max_workers=threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
