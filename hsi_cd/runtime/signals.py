"""Leaving when the machine is wanted back: SIGTERM and SIGUSR1, as schedulers send them before they kill.

A training that hears one saves at its next step; anything else is left at once, since it is made again quickly.
Either way the process leaves with :data:`~hsi_cd.errors.EXIT_REQUEUE`, and ``--resume`` goes on from there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from hsi_cd.errors import Preempted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What is heeded; Windows knows no SIGUSR1."""


@dataclass
class Stop:
    """Whether this process was asked to leave.

    Attributes:
        asked: name of the signal that asked, or None.
    """

    asked: str | None = None
    _postponed: bool = False

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """A part of the work that looks at :attr:`asked` by itself and leaves when it has saved.

        Raises:
            Preempted: it came to its end without having looked.
        """
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False
        if self.asked:
            raise Preempted(self.asked)

    def hear(self, signum: int, frame: FrameType | None = None) -> None:
        """Handle a signal.

        Raises:
            Preempted: nothing is worth saving now.
        """
        self.asked = signal.Signals(signum).name
        if not self._postponed:
            raise Preempted(self.asked)


@contextmanager
def heed_signals() -> Iterator[Stop]:
    """Hear the signals of :data:`SIGNALS` while the block runs; only a process's main thread can."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {signum: signal.signal(signum, stop.hear) for signum in SIGNALS}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
