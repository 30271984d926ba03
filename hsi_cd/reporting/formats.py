"""Tables of results as LaTeX, Markdown, HTML, CSV and plain text."""

from __future__ import annotations

import csv
import io
import logging
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hsi_cd.errors import ConfigError, unknown_name
from hsi_cd.evaluation import NOT_JUDGED, RunResult, judged_apart
from hsi_cd.reporting.captions import FEW, PLUS_MINUS
from hsi_cd.reporting.cells import Cell
from hsi_cd.reporting.comparison import Row, Table, compare_results, in_order
from hsi_cd.reporting.display_names import as_asked
from hsi_cd.reporting.text_cells import align

log = logging.getLogger(__name__)

_DASH = "\N{EN DASH}"
_CSV_HEADER = (
    "table", "row", "group", "column", "mean", "std", "low", "high", "runs", "rank", "protocol", "scope", "note",
)  # fmt: skip
_LABEL = re.compile(r"[A-Za-z0-9:._/+-]+")


def results_table(
    results: Sequence[RunResult],
    *,
    format: str = "text",  # noqa: A002
    names: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
    label: str = "",
    wide: bool = False,
    **layout: Any,
) -> str:
    r"""Results of many runs as a table to print: mean and standard deviation over seeds.

    The best method of each dataset and score is bold and the second underlined (``*`` and ``'`` in plain text);
    cells that look the same rank the same. A missing run is a dash. LaTeX takes ``booktabs``, compiles alone, and
    can be put into a paper by ``\input``. CSV has one line per cell, in full precision.

    Args:
        results: results of runs under one protocol.
        format: ``text``, ``markdown``, ``html``, ``csv`` or ``latex``.
        names: what methods and datasets are called, by the names of the runs.
        order: methods and datasets by the names of the runs, in the order in which they stand; others follow.
        label: by which a LaTeX table is referred to; of several tables it is numbered, as ``tab:x-2``.
        wide: whether a LaTeX table goes over both columns of a page (``table*``).
        layout: keywords of :func:`~hsi_cd.reporting.comparison.compare_results`: rows, columns, scores, percent,
            costs, baselines, interval, ddof.

    Returns:
        The text, without a line break at its end.

    Raises:
        UnknownNameError: there is no such format, score, cost, method or dataset.
        ConfigError: the results cannot share a table, two would be called the same, or LaTeX takes no such label.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if format != "latex" and (label or wide):
        raise ConfigError(f"label and wide are of LaTeX tables, and the format is {format}: leave them out")
    results, order = as_asked(results, names=names, order=order)
    tables = in_order(compare_results(results, **layout), order)
    if format == "latex":
        return latex(tables, label=label, wide=wide)
    if format == "csv":  # which has no caption to say it
        for sentence in judged_apart(results).values():
            log.warning("%s", sentence)
    return FORMATS[format](tables)


def print_tables(format: str, tables: Sequence[Table], numbers: Callable[[], str]) -> str:  # noqa: A002
    """Tables of numbers that no runs share, in one of the formats.

    Args:
        format: of :data:`FORMATS`.
        tables: to be read by people.
        numbers: what CSV holds of them, in full precision.

    Raises:
        UnknownNameError: there is no such format.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    return numbers() if format == "csv" else FORMATS[format](tables)


def latex(tables: Sequence[Table], *, label: str = "", wide: bool = False) -> str:
    r"""LaTeX tables in a file that compiles alone and can be ``\input`` in a paper that loads booktabs.

    Raises:
        ConfigError: the label has letters that LaTeX takes for something else.
    """
    if label and not _LABEL.fullmatch(label):
        raise ConfigError(
            f"label {label!r}: LaTeX labels are of letters, digits and : . _ / + - here, as tab:results"
        )
    lines = [
        r"% Compiles alone; in a paper: \usepackage{booktabs} in the preamble, and \input this file.",
        r"\expandafter\ifx\csname @nodocument\endcsname\relax\else",
        r"\documentclass{article}\usepackage{booktabs}"
        rf"\usepackage[margin=1.5cm,paperwidth={_paper_width(tables):.0f}cm,paperheight=29.7cm]{{geometry}}",
        r"\def\hsicdalone{}\begin{document}\fi",
    ]
    for number, table in enumerate(tables, start=1):
        own = f"{label}-{number}" if label and len(tables) > 1 else label
        lines += ["", *_latex_table(table, label=own, wide=wide)]
    return "\n".join([*lines, "", r"\ifdefined\hsicdalone\expandafter\enddocument\fi"])


def _paper_width(tables: Sequence[Table]) -> float:
    """Centimetres of paper on which the widest table fits, standing alone; A4 at least."""
    widest = 0
    for table in tables:
        rows = [_header(table), *([row.label, *map(_plain, row.cells)] for row in table.rows)]
        widest = max(widest, sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)))
    return max(21.0, 3 + 0.17 * widest)


def _latex_table(table: Table, *, label: str, wide: bool) -> list[str]:
    width = len(table.columns) * len(table.groups)
    room = width / 2 if wide else width
    size = r"\scriptsize" if room > 8 else r"\footnotesize" if room > 5 else r"\small"
    float_ = "table*" if wide else "table"
    mark = rf"\label{{{label}}}" if label else ""
    caption = _tex(_caption(table, "Best in bold, second underlined."))
    lines = [
        rf"\begin{{{float_}}}[{'tbp' if wide else 'htbp'}]",  # over both columns, a float has no place "here"
        rf"\centering{size}\setlength{{\tabcolsep}}{{4pt}}",
        rf"\caption{{{caption}}}{mark}\vspace{{4pt}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * width}@{{}}}}",
        r"\toprule",
    ]
    if _two_rows(table):
        span = len(table.columns)
        heads = [rf"\multicolumn{{{span}}}{{c}}{{{_tex(group)}}}" for group in table.groups]
        lines.append(" & ".join(["", *heads]) + r" \\")
        rules = [rf"\cmidrule(lr){{{2 + i * span}-{1 + (i + 1) * span}}}" for i in range(len(table.groups))]
        lines.append("".join(rules))
    lines.append(" & ".join(_tex(title) for title in _header(table)) + r" \\")
    lines.append(r"\midrule")
    for row in table.rows:
        if row.apart:
            lines.append(r"\midrule")
        cells = [_marked(cell, dash="--", bold=r"\textbf{{{}}}", under=r"\underline{{{}}}") for cell in row.cells]
        cells = [cell.replace(PLUS_MINUS, r"$\pm$") for cell in cells]
        lines.append(" & ".join([_tex(row.label), *cells]) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}", rf"\end{{{float_}}}"]


def markdown(tables: Sequence[Table]) -> str:
    """Markdown tables, as GitHub renders them."""
    parts = []
    for table in tables:
        header = [_md(title) for title in _header(table, joined=True)]
        lines = [_md(_caption(table, "Best in bold, second underlined.")), ""]
        lines.append("| " + " | ".join(header) + " |")
        lines.append("| --- |" + " ---: |" * (len(header) - 1))
        for row in table.rows:
            # GitHub removes <u> and draws <ins> underlined.
            cells = [_marked(cell, dash=_DASH, bold="**{}**", under="<ins>{}</ins>") for cell in row.cells]
            lines.append("| " + " | ".join([_md(row.label), *cells]) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def html_table(tables: Sequence[Table]) -> str:
    """HTML tables: elements to put into a page, without styles."""
    from hsi_cd.reporting.html.rendering import render  # other formats need no templates

    return render("results.html", tables=html_view(tables)).strip()


def html_view(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """What the template ``results.html`` asks of each table."""
    return [
        {
            "caption": _caption(table, "Best in bold, second underlined."),
            "groups": table.groups if _two_rows(table) else (),
            "span": len(table.columns),
            "header": _header(table),
            "rows": [
                {
                    "label": row.label,
                    "apart": row.apart,
                    "cells": [(c.rank if c else 0, _plain(c)) for c in row.cells],
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]


def csv_table(tables: Sequence[Table]) -> str:
    """Comma-separated values, one line per cell; without a run, runs are 0.

    Numbers are in full precision and in the unit that the column's title says: one in % holds per cent.
    """
    lines = []
    for table in tables:
        places = [(group, column) for group in table.groups for column in table.columns]
        for row in table.rows:
            for (group, column), cell in zip(places, row.cells, strict=True):
                cell = cell or Cell("")
                facts = [*(cell.ends or ("", "")), cell.count, cell.rank or "", table.protocol, table.scope]
                facts.append(FEW.strip("()") if cell.few else NOT_JUDGED if cell.value == NOT_JUDGED else "")
                lines.append([table.title, row.label, group, column, cell.mean, cell.std, *facts])
    return csv_lines(_CSV_HEADER, lines)


def csv_lines(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Comma-separated values without a line break at their end; fractions in full precision, NaN as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_csv_value(value) for value in line] for line in lines)
    return out.getvalue().rstrip("\n")


def _csv_value(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else repr(float(value))  # NumPy's floats would say their type


def text(tables: Sequence[Table]) -> str:
    """Plain ASCII for a terminal."""
    parts = []
    for table in tables:
        body = [_header(table, joined=True), *(_text_row(row) for row in table.rows)]
        caption = _caption(table, "* best, ' second.").replace(PLUS_MINUS, "+-")
        parts.append(f"{caption}\n\n{align(body, rule_after=1)}")
    return "\n\n".join(parts)


def _text_row(row: Row) -> list[str]:
    # A mark, or a blank in its place, so that the digits stay in line.
    cells = [_marked(cell, dash="-", bold="{}*", under="{}'", plain="{} ") for cell in row.cells]
    return [row.label, *(cell.replace(PLUS_MINUS, "+-") for cell in cells)]


FORMATS: Mapping[str, Callable[[Sequence[Table]], str]] = {
    "text": text,
    "markdown": markdown,
    "html": html_table,
    "csv": csv_table,
    "latex": latex,
}
"""Formats of :func:`results_table` by name."""


def _caption(table: Table, marks: str) -> str:
    ranked = any(cell is not None and cell.rank for row in table.rows for cell in row.cells)
    words = f"{table.title}: {table.caption}" if table.title else table.caption
    return f"{words} {marks}" if ranked else words


def _two_rows(table: Table) -> bool:
    """Whether the columns need titles of groups above them."""
    return table.groups != ("",) and len(table.columns) > 1


def _header(table: Table, *, joined: bool = False) -> list[str]:
    """Titles of the columns; ``joined`` with those of their groups, where a format has one line of them."""
    if table.groups == ("",):
        return [table.corner, *table.columns]
    if joined or len(table.columns) == 1:
        return [
            table.corner,
            *(f"{group} {column}".rstrip() for group in table.groups for column in table.columns),
        ]
    return [table.corner, *(column for _ in table.groups for column in table.columns)]


def _plain(cell: Cell | None) -> str:
    return _marked(cell, dash=_DASH, bold="{}", under="{}")


def _marked(cell: Cell | None, *, dash: str, bold: str, under: str, plain: str = "{}") -> str:
    if cell is None:
        return plain.format(dash)
    words = cell.value + (f" {FEW}" if cell.few else "")
    if cell.spread:
        words += f" {PLUS_MINUS} {cell.spread}"
    if cell.ends:
        words += f" [{', '.join(cell.ends)}]"
    return {0: plain, 1: bold, 2: under}[cell.rank].format(words)


_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    PLUS_MINUS: r"$\pm$",
    _DASH: "--",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u030a": "r",
    "\u030c": "v",
}


def _tex(words: str) -> str:
    """Text that every LaTeX compiles: accents as commands, and what it has no letter for by its number."""
    out = []
    for character in words:
        base, *marks = list(unicodedata.normalize("NFD", character))
        if character in _TEX:
            out.append(_TEX[character])
        elif character.isascii():
            out.append(character if character.isprintable() else " ")
        elif base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
            out.append(f"\\{_ACCENTS[marks[0]]}{{{base}}}")
        else:
            out.append(f"\\texttt{{U+{ord(character):04X}}}")
    return "".join(out)


def _md(words: str) -> str:
    """Text that Markdown takes as it is."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|<>" else c for c in words)
    return " ".join(escaped.split())
