"""What a command says: its result as text or as JSON, and hints for people."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


def tell(text: str, record: Any, *, as_json: bool) -> None:
    """Print a command's result: the text, or the record as one JSON document and nothing else."""
    click.echo(document(record) if as_json else text)


def hint(text: str, *, as_json: bool = False) -> None:
    """Print what helps a person on: what to do next, where files are. Not with ``--quiet`` or ``--json``."""
    if not as_json and not is_quiet():
        click.echo(text)


def is_quiet() -> bool:
    """Whether ``--quiet`` was given: only errors and the asked-for result."""
    return logging.getLogger("hsi_cd").getEffectiveLevel() >= logging.ERROR


def document(record: Any) -> str:
    """A record as JSON; what JSON has no word for (NaN, infinity) is null."""
    return json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist())
    return str(value)


def results_text(results: Any, *, kind: str, **layout: Any) -> str:
    """The table of results as text; as JSON it is a list of its cells, in full precision.

    Args:
        results: results of runs under one protocol.
        kind: one of the formats of :func:`hsi_cd.reporting.formats.results_table`, or ``json``.
        layout: further keywords of that function.
    """
    from hsi_cd.reporting.formats import results_table

    if kind != "json":
        return results_table(results, format=kind, **layout)
    return document(cells_of(results_table(results, format="csv", **layout)))


def cells_of(csv_text: str) -> list[dict[str, Any]]:
    """The lines of a CSV table as records; what reads as a number is one, an empty cell null."""
    import csv

    return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(csv_text.splitlines())]


def _number(text: str | None) -> Any:
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
