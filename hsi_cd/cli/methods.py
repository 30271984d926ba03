"""``hsi-cd methods``."""

from __future__ import annotations

import click

EPILOG = """\b
Examples:
  hsi-cd methods
  hsi-cd methods irmad
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """List the methods, with what each does and where it comes from; with NAME, its options."""
    from hsi_cd.detectors.registry import METHODS, find_method

    if name is None:
        width = max(map(len, METHODS))
        for method in METHODS.values():
            click.echo(f"{method.name:{width}}  {method.summary}\n{'':{width}}  {method.reference}")
        click.echo("\nWithout labels: hsi-cd detect --method NAME ...   With: hsi-cd train --method NAME ...")
        return
    method = find_method(name)
    click.echo(f"{method.name}: {method.title}\n  {method.summary}\n  {method.reference}")
    for option, default in method.options.items():
        click.echo(f"  option {option} = {default}")
    if method.needs_labels:
        setting = " --set options.NAME=VALUE" if method.options else ""
        click.echo(f"Try: hsi-cd train --method {method.name} --t1 A --t2 B --truth L{setting}")
    else:
        click.echo(f"Try: hsi-cd detect --method {method.name} --t1 A --t2 B --output change.tif --set NAME=VALUE")
