"""Numpy's matrix products on the calling thread alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """Within, numpy's matrix products use the calling thread alone.

    A fit's products are small: more threads gain nothing on an idle computer, and on a busy one they wait for
    each other, ten times as long as the products take.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
