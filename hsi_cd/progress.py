"""How far a long task is: a bar on a terminal, and a line every half minute in a log.

A program that runs a command and shows its progress asks for lines more often by ``HSI_CD_PROGRESS``, in seconds.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from tqdm import tqdm

from hsi_cd.errors import ConfigError

INTERVAL = 30.0
"""Seconds between two lines of a task whose output goes to a file or a pipe."""

ASKED = "HSI_CD_PROGRESS"
"""What in the environment says other seconds."""

MARK = "progress: "
"""What such a line begins with, so that a log's reader can tell it from what a program says of itself."""

Item = TypeVar("Item")
Yielded = TypeVar("Yielded", covariant=True)


class Bar(Protocol[Yielded]):
    """What shows progress; of tqdm's ways of saying it, those that are used here."""

    def __iter__(self) -> Iterator[Yielded]:
        """What is worked through."""
        ...

    def __enter__(self) -> Self:
        """The bar itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""
        ...

    def update(self, n: float = 1, /) -> Any:
        """Count ``n`` more."""
        ...

    def set_description(self, desc: str, /) -> None:
        """Say what is done now."""
        ...

    def set_postfix(self, facts: Mapping[str, Any], /) -> None:
        """Show facts by name."""
        ...

    def set_postfix_str(self, text: str, /) -> None:
        """Show a text."""
        ...

    def close(self) -> None:
        """Show no more."""
        ...


def interval() -> float:
    """Seconds between two lines, as the environment asks.

    Raises:
        ConfigError: it asks for what is no number of seconds.
    """
    asked = os.environ.get(ASKED)
    if not asked:
        return INTERVAL
    try:
        seconds = float(asked)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{ASKED} is {asked!r} in the environment: set it to seconds between two lines, as 0.5")
    return seconds


def progress(
    iterable: Iterable[Item],
    *,
    desc: str,
    total: int | None = None,
    unit: str = "it",
    initial: int = 0,
    leave: bool = False,
    show: bool = True,
) -> Bar[Item]:
    """Show how far a task is while it is iterated over, or told by ``update``.

    On a terminal that is a bar. Where the output is piped, as in a batch job's log, it is a line every half minute
    and so none for what takes less, unless :func:`interval` is another. Nothing is shown where the logger
    ``hsi_cd`` is set to errors alone.

    Args:
        iterable: what is worked through; nothing, ``()``, where ``update`` tells.
        desc: what is done, in a word or two.
        total: how many there are; by default the iterable's length.
        unit: what is counted.
        initial: how many were done before.
        leave: keep the bar when it is full.
        show: show anything at all.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    shown = show and logging.getLogger("hsi_cd").getEffectiveLevel() < logging.ERROR
    if shown and not sys.stderr.isatty():
        return LineProgress(iterable, desc=desc, total=total, unit=unit, initial=initial)
    return _tqdm(iterable, desc=desc, total=total, unit=unit, initial=initial, leave=leave, disable=not shown)


def _tqdm(iterable: Iterable[Item], **options: Any) -> Bar[Item]:
    bar: Any = tqdm(iterable, **options)
    return bar  # type: ignore[no-any-return]


class LineProgress(Generic[Item]):
    """A line on standard error every :func:`interval` seconds."""

    def __init__(
        self,
        iterable: Iterable[Item] = (),
        *,
        desc: str,
        total: int | None = None,
        unit: str = "it",
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """As :func:`progress`; ``clock`` tells the time, in seconds."""
        self._iterable, self._desc, self._total, self._unit = iterable, desc, total, unit
        self._done = self._initial = initial
        self._clock = clock
        self._interval = interval()
        self._began = self._told = clock()
        self._facts = ""

    def __iter__(self) -> Iterator[Item]:
        with self:
            for item in self._iterable:
                yield item
                self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Count ``n`` more; a line is written if it is time for one."""
        self._done += int(n)
        now = self._clock()
        if now - self._told >= self._interval:
            self._told = now
            sys.stderr.write(MARK + self._line(now - self._began) + "\n")
            sys.stderr.flush()

    def set_description(self, desc: str) -> None:
        """What is done now."""
        self._desc = desc

    def set_postfix(self, facts: Mapping[str, Any]) -> None:
        """Facts for the end of the line, by name."""
        self._facts = ", ".join(f"{name}={value}" for name, value in facts.items())

    def set_postfix_str(self, text: str) -> None:
        """The end of the line."""
        self._facts = text

    def close(self) -> None:
        """Nothing: a line that was written stays."""

    def _line(self, seconds: float) -> str:
        count = f"{self._done:,}" if self._total is None else f"{self._done:,} of {self._total:,}"
        share = f" ({100 * self._done / self._total:.0f} %)" if self._total else ""
        here = self._done - self._initial
        left = ""
        if self._total and here:
            left = f", about {_in_words(seconds / here * (self._total - self._done))} left"
        facts = f"; {self._facts}" if self._facts else ""
        return f"{self._desc}: {count} {self._unit}{share} after {_in_words(seconds)}{left}{facts}"


def _in_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes}:{rest:02} min"
