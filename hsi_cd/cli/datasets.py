"""The command ``datasets``: what the catalogue knows, and what is on disk."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.telling import tell

if TYPE_CHECKING:
    from hsi_cd.api.benchmarks import DatasetState

EPILOG = """\b
Examples:
  hsi-cd datasets
  hsi-cd datasets farmland --data-root ~/scenes
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
@data_root_option
@json_option
def datasets(name: str | None, data_root: Path, as_json: bool) -> None:
    """List the benchmark scenes, or describe the one called NAME.

    Says for each scene how large it is, what its truth holds, which files are expected in which folder, where they
    are published, and what to know before using it.
    """
    from hsi_cd.api.benchmarks import describe

    states = describe(data_root, name)
    records = [_record(state) for state in states]
    if name is None:
        tell(_table(states, data_root), records, as_json=as_json)
    else:
        tell(_details(states[0], data_root), records[0], as_json=as_json)


def _table(states: tuple[DatasetState, ...], root: Path) -> str:
    head = ("name", "rows x cols x bands", "sensor", "changed", "unchanged", "unlabelled", "on disk")
    rows: list[tuple[str, ...]] = [head]
    for state in states:
        counts = state.entry.counts
        numbers = (counts.changed, counts.unchanged, counts.unlabelled) if counts else ()
        cells = [f"{number:,}" for number in numbers] or ["?"] * 3
        rows.append((state.entry.name, state.entry.size, state.entry.sensor, *cells, _on_disk(state)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    numeric = (3, 4, 5)
    lines = []
    for row in rows:
        cells = [
            c.rjust(w) if i in numeric else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    found = sum(state.files.status == "complete" for state in states)
    note = "" if root.is_dir() else " (this folder does not exist)"
    lines += [
        "",
        f"{found} of {len(states)} on disk in {root}{note}.",
        f"More: hsi-cd datasets {states[0].entry.name}",
    ]
    return "\n".join(lines)


def _details(state: DatasetState, root: Path) -> str:
    entry, files = state.entry, state.files
    folder = files.folders[0] if files.folders else root / entry.name
    lines = [
        f"{entry.name}: {entry.place}",
        f"  size        {entry.size} (rows x cols x bands)",
        f"  sensor      {entry.sensor}",
        f"  dates       {' and '.join(entry.dates)}",
        f"  truth       {entry.counts.describe() if entry.counts else 'counts unknown'}",
        f"  aliases     {', '.join(entry.aliases) or 'none'}",
        f"  published   {entry.published}",
        f"  cite        {entry.citation or 'the source you take it from'}",
        f"  on disk     {_on_disk(state)}",
        f"  files       expected in {folder}:",
    ]
    for i, file_set in enumerate(entry.file_sets):
        lines.append(f"    {'or' if i else '  '} t1     {file_set.t1.describe()}")
        lines.append(f"       t2     {file_set.t2.describe()}")
        lines += [
            f"       {'truth' if j == 0 else '   or'}  {t.describe()}" for j, t in enumerate(file_set.truths)
        ]
    if files.status == "partial":
        lines.append(f"  missing     {', '.join(files.missing)}")
    lines += [f"  note        {note}" for note in entry.notes]
    root_text = shlex.quote(str(root))
    lines += ["", f"Try: hsi-cd train --dataset {entry.name} --data-root {root_text}"]
    return "\n".join(lines)


def _on_disk(state: DatasetState) -> str:
    return {"complete": "yes", "partial": "in part", "absent": "no"}[state.files.status]


def _record(state: DatasetState) -> dict[str, Any]:
    entry, files = state.entry, state.files
    counts = entry.counts
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "place": entry.place,
        "sensor": entry.sensor,
        "dates": list(entry.dates),
        "rows": entry.rows,
        "cols": entry.cols,
        "bands": entry.bands,
        "changed": counts.changed if counts else None,
        "unchanged": counts.unchanged if counts else None,
        "unlabelled": counts.unlabelled if counts else None,
        "file_sets": [file_set.describe() for file_set in entry.file_sets],
        "published": entry.published,
        "citation": entry.citation,
        "notes": list(entry.notes),
        "status": files.status,
        "folders": [str(folder) for folder in files.folders],
        "present": list(files.present),
        "missing": list(files.missing),
    }
