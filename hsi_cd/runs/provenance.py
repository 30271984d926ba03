"""Where a result comes from: the processes that worked on it, each with its command, code, machine and time.

:meth:`Provenance.to_dict` is the content of ``provenance.json``; writing the file is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hsi_cd.evaluation.records import RECORD, Count, Fact, Number, Text, read_record, write_record

PROVENANCE_VERSION = 1
"""Version of the layout of ``provenance.json``."""


Identity = tuple[Count | Text, ...]
"""By what a file is known again; see :func:`hsi_cd.runs.identity.file_identity`."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One process that worked on a run; a run that was stopped and resumed has several.

    Attributes:
        command: what was typed, word by word.
        started: when, ISO 8601 in UTC.
        host: name of the machine.
        hardware: the machine: processor, cores, memory, GPU, system.
        versions: versions by package, the software's own among them.
        commits: git commits by what they are of: ``software`` (where it runs from a checkout) and ``folder`` (the
            one that the command was given in), ending in ``+`` where files differ from it; empty without git.
        inputs: the files that were read, by path, in the order in which they were named: size in bytes, times of
            change (ns) and a digest of the content; of earlier versions size and time alone.
        pixels: digest of some rows of both dates, as they were read; None where it was not taken.
        labels: digest of the truth map, as it was read; None as for ``pixels``.
        seconds: wall-clock time; None as long as it has not ended, or where it was killed.
        outcome: ``finished``, ``pre-empted``, ``interrupted`` or ``failed``; None as for ``seconds``.
    """

    __pydantic_config__ = RECORD

    command: tuple[Text, ...]
    started: Text
    host: Text
    hardware: Mapping[Text, Fact] = field(default_factory=dict)
    versions: Mapping[Text, Text] = field(default_factory=dict)
    commits: Mapping[Text, Text] = field(default_factory=dict)
    inputs: Mapping[Text, Identity] = field(default_factory=dict)
    pixels: Text | None = None
    labels: Text | None = None
    seconds: Number | None = None
    outcome: Text | None = None


@dataclass(frozen=True)
class Provenance:
    """All sessions of a run, in their order."""

    __pydantic_config__ = RECORD

    sessions: tuple[Session, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of all sessions; None where one was killed, and its time is not known."""
        times = [session.seconds for session in self.sessions if session.seconds is not None]
        return sum(times) if times and len(times) == len(self.sessions) else None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``provenance.json``."""
        return write_record(self, PROVENANCE_VERSION)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Provenance:
        """What :meth:`to_dict` wrote.

        Raises:
            FormatError: another version, a key too many or missing, or a value of the wrong kind.
        """
        sessions = data.get("sessions") if isinstance(data, Mapping) else None
        if isinstance(sessions, list):  # earlier versions took no digest of pixels and labels
            told = [
                {"pixels": None, "labels": None, **each} if isinstance(each, Mapping) else each
                for each in sessions
            ]
            data = {**data, "sessions": told}
        return read_record(cls, data, "provenance", PROVENANCE_VERSION)
