"""Products in one thread: their sums do not depend on the machine's cores, and threads of our own do better."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

from threadpoolctl import ThreadpoolController


@contextmanager
def single_threaded(user_api: Literal["blas", "openmp"] | None = None) -> Iterator[None]:
    """While this context lasts, libraries use one thread each.

    Args:
        user_api: of which libraries; None: of all.
    """
    with _libraries(len(sys.modules)).limit(limits=1, user_api=user_api):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The libraries in this process; to look for them takes a sixth of a small training, so only after imports."""
    return ThreadpoolController()
