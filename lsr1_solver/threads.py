"""Who works on the processors: our own threads on parts of a clip, and not those of numpy's products."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """The results of ``work`` on every part, the same whatever the number of processors."""
    pool = _pool() if len(parts) > 1 else None
    if pool is None:
        return [work(part) for part in parts]
    others = [pool.submit(work, part) for part in parts[1:]]
    return [work(parts[0]), *(other.result() for other in others)]


@cache
def _pool() -> ThreadPoolExecutor | None:
    """Of all processors but this thread's own; None where there is one alone.

    Who limits numpy's own threads, by OMP_NUM_THREADS, means these as well.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    count = min(allowed, int(asked)) if asked.isdigit() and int(asked) else allowed
    return ThreadPoolExecutor(count - 1, "lsr1") if count > 1 else None


def one_blas_thread() -> AbstractContextManager[object]:
    """Within, numpy's matrix products use the calling thread alone.

    A fit's products are small: more threads gain nothing on an idle computer, and on a busy one they wait for
    each other, ten times as long as the products take.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
