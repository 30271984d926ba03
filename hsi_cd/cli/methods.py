"""``hsi-cd methods``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.telling import hint, tell

if TYPE_CHECKING:
    from hsi_cd.api.method_names import Method

EPILOG = """\b
Examples:
  hsi-cd methods
  hsi-cd methods irmad
  hsi-cd methods mynets:KAN       # a class of your own, in a module that can be imported
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
@json_option
def methods(name: str | None, as_json: bool) -> None:
    """List the methods, with what each does and where it comes from; with NAME, its options."""
    from hsi_cd.api.method_names import all_methods, find_method

    if name is None:
        known = all_methods()
        width = max(map(len, known))
        lines = [f"{m.name:{width}}  {m.summary}\n{'':{width}}  {m.reference}" for m in known.values()]
        tell("\n".join(lines), [_record(method) for method in known.values()], as_json=as_json)
        hint(
            "\nWithout labels: hsi-cd detect --method NAME ...   With: hsi-cd train --method NAME ...",
            as_json=as_json,
        )
        return
    from hsi_cd.runs.listing import flat

    method = find_method(name)
    lines = [f"{method.name}: {method.title}\n  {method.summary}\n  {method.reference}"]
    lines += [f"  from {method.place}"] if method.place else []
    lines += [f"  setting {key} = {value}" for key, value in flat(method.settings).items()]
    for option, default in method.options.items():
        limits = f"  ({method.ranges[option]})" if option in method.ranges else ""
        lines.append(f"  option {option} = {default}{limits}")
    tell("\n".join(lines), _record(method), as_json=as_json)
    if method.needs_labels:
        setting = " --set options.NAME=VALUE" if method.options else ""
        hint(f"Try: hsi-cd train --method {method.name} --t1 A --t2 B --truth L{setting}", as_json=as_json)
    else:
        words = f"--method {method.name} --t1 A --t2 B --output change.tif --set NAME=VALUE"
        hint(f"Try: hsi-cd detect {words}", as_json=as_json)


def _record(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "reference": method.reference,
        "needs_labels": method.needs_labels,
        "options": dict(method.options),
        "ranges": {option: str(method.ranges[option]) for option in method.options if option in method.ranges},
        "place": method.place or None,
        "settings": dict(method.settings),
    }
