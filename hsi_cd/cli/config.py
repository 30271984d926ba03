"""``hsi-cd config``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd config
  hsi-cd config --list
  hsi-cd config --list --json
  hsi-cd config backbone-resnet18 --output my.yaml
  hsi-cd train --dataset taizhou --config backbone-resnet18
"""


@click.command(epilog=EPILOG)
@click.argument("name", default="default")
@click.option("--list", "listing", is_flag=True, help="List the names, with what each is for.")
@click.option("--output", type=PathType(), metavar="FILE", help="Write the file instead.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def config(name: str, listing: bool, output: Path | None, overwrite: bool, as_json: bool) -> None:
    """Print every setting with its default and what it does; with NAME, an example, or a scene's settings.

    What is printed is YAML that --config takes; --config takes NAME itself, too. A file need hold only what
    differs from the defaults.
    """
    from hsi_cd.config import config_files, find_config_file

    if listing:
        known = {each: _purpose(path) for each, path in config_files().items()}
        width = max(map(len, known))
        lines = [f"{each:{width}}  {purpose}" for each, purpose in known.items()]
        tell("\n".join(lines), [{"name": n, "purpose": p} for n, p in known.items()], as_json=as_json)
        return
    if as_json:
        _tell_settings(name, output)
        return
    text = find_config_file(name).read_text(encoding="utf-8")
    if output is None:
        click.echo(text, nl=False)
        return
    from hsi_cd.io import YAML, check_outputs, write_text

    check_outputs({"--output": output}, kind=YAML, inputs=[find_config_file(name)], overwrite=overwrite)
    write_text(output, text, overwrite=overwrite)
    click.echo(f"settings: {output}")


def _tell_settings(name: str, output: Path | None) -> None:
    """What the file sets, as JSON."""
    from hsi_cd.config import find_config_file, read_config_file

    if output is not None:
        raise click.UsageError("--output takes YAML, and --json prints JSON: give one of them")
    tell("", read_config_file(find_config_file(name)), as_json=True)


def _purpose(path: Path) -> str:
    """What a file says about itself in its first sentence."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(
        line.removeprefix("# ") for line in lines[: next(i for i, x in enumerate(lines) if not x.startswith("#"))]
    )
    return comment.partition(". ")[0].rstrip(".")
