"""``hsi-cd qgis``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd qgis install
  hsi-cd qgis install --profile ~/.local/share/QGIS/QGIS3/profiles/survey
  hsi-cd qgis uninstall
"""


@click.command(epilog=EPILOG)
@click.argument("what", type=click.Choice(["install", "uninstall"]))
@click.option(
    "--profile",
    type=PathType(),
    metavar="DIR",
    help="Folder of a profile of QGIS [default: the one with which QGIS starts].",
)
@json_option
def qgis(what: str, profile: Path | None, as_json: bool) -> None:
    """Put these commands into the Processing toolbox of QGIS (3.22 or later), or take them out.

    The plugin runs the hsi-cd of this environment, in a process of its own; nothing else is installed in QGIS. A
    second install changes nothing, or brings the plugin up to date. Restart QGIS afterwards.
    """
    from hsi_cd.api.qgis_profile import install_plugin, uninstall_plugin

    done = install_plugin(profile) if what == "install" else uninstall_plugin(profile)
    lines = [f"plugin   {done.plugin}"]
    if done.command is not None:
        lines += [f"command  {done.command}"]
    lines += [] if done.changed else ["nothing was to be done"]
    record = {"profile": done.profile, "plugin": done.plugin, "command": done.command, "changed": done.changed}
    tell("\n".join(lines), record, as_json=as_json)
    if done.changed and what == "install":
        hint("\nnext: restart QGIS, and open Processing, Toolbox, hsi-cd", as_json=as_json)
