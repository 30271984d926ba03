"""The error tree.

Every error that a user can cause is an :class:`HsiCdError`; the command line prints its message on one line
and leaves with exit code 2. Each concrete error is also the builtin that a Python caller would expect, so
``except ValueError`` and ``except OSError`` work without knowing this package.

A message says what was found, what was expected, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

EXIT_REQUEUE = 75
"""Exit code of a process that was asked to leave and can go on later: EX_TEMPFAIL of sysexits.h."""


class Preempted(BaseException):
    """The process was asked to leave (SIGTERM, SIGUSR1), and what it had is saved.

    No Exception, as KeyboardInterrupt is none: what handles errors must not swallow it.
    """


_PLACE = re.compile(r"/vsicurl/(https?):/+([^\s'\"?]+)(\?[^\s'\"]*?)?(?=[:;,.)}]*(?:['\"\s]|$))")


class HsiCdError(Exception):
    """Root of all errors of this package."""

    def __str__(self) -> str:
        # Addresses as people write them, and without what may be a signature.
        return _PLACE.sub(r"\1://\2", super().__str__())


class MissingInputError(HsiCdError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class FormatError(HsiCdError, ValueError):
    """A file is not what it claims, is damaged, or is of a kind that is not read."""


class AxesError(FormatError):
    """The axes of an array could be several: the user must say which is which."""


class GridError(HsiCdError, ValueError):
    """Two rasters that must share a grid differ in shape, CRS or transform."""


class PairError(HsiCdError, ValueError):
    """Two cubes are no two dates: one file given twice, or the same values."""


class RegistrationError(HsiCdError, ValueError):
    """How two dates lie against each other cannot be measured, or is no shift that can be undone."""


class BandError(HsiCdError, ValueError):
    """The bands of a cube are unusable, or differ from those of its partner or of the checkpoint."""


class LabelError(HsiCdError, ValueError):
    """A truth map holds values, counts or a shape that the label scheme does not explain."""


class ConfigError(HsiCdError, ValueError):
    """A configuration has an unknown key or a value outside its range."""


class UnknownNameError(HsiCdError, LookupError):
    """A dataset, method or building block of this name does not exist."""


class CheckpointError(HsiCdError, ValueError):
    """A checkpoint is truncated, of another kind, or does not fit the scene."""


class OutputError(HsiCdError, OSError):
    """An output exists already, or cannot be written."""


class ShardError(HsiCdError, ValueError):
    """Parts of a map do not belong together, are not all there, or cannot be cut as asked."""


class NotFittedError(HsiCdError, ValueError, AttributeError):
    """An estimator is asked for what it learns before it was fitted."""


class DeviceError(HsiCdError, RuntimeError):
    """The device that was asked for is not there."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a wrong ``name`` of a ``kind`` (as "dataset"): it lists the right ones, the nearest first."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UnknownNameError(f"there is no {kind} {name!r}: {hint}known are {', '.join(names)}")
