"""A run as a folder: the names of its files, making it, where it comes from, lists of many.

What reads run folders is here. What works in one (:mod:`~hsi_cd.runs.making`, :mod:`~hsi_cd.runs.recording`)
writes files, and is imported by those who run something.
"""

from hsi_cd.runs.folder import (
    PROVENANCE,
    RESULT,
    Overview,
    find_runs,
    read_curves,
    read_overview,
    read_provenance,
    read_result,
)
from hsi_cd.runs.identity import changed_inputs, file_identity, is_same_file, known_inputs
from hsi_cd.runs.listing import Run, Standing, best_runs, differences, flat, read_run, read_runs
from hsi_cd.runs.provenance import Provenance, Session

__all__ = [
    "PROVENANCE",
    "RESULT",
    "Overview",
    "Provenance",
    "Run",
    "Session",
    "Standing",
    "best_runs",
    "changed_inputs",
    "differences",
    "file_identity",
    "find_runs",
    "flat",
    "is_same_file",
    "known_inputs",
    "read_curves",
    "read_overview",
    "read_provenance",
    "read_result",
    "read_run",
    "read_runs",
]
