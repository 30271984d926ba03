"""The option by which a command prints what it has to tell as one JSON document."""

from __future__ import annotations

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
"""Print JSON; the command is handed it as ``as_json``."""
