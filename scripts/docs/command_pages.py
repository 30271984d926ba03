"""A page for each command: what it does, its synopsis, options and examples, from the command itself."""

from __future__ import annotations

import html
import inspect
import re
import textwrap

import click

Page = tuple[str, str, str]
"""Path in the site, name in the navigation, Markdown."""


def pages() -> list[Page]:
    """The overview, then the commands in the order of ``hsi-cd --help``."""
    from hsi_cd.cli.main import cli

    context = click.Context(cli, info_name="hsi-cd")
    found = [(name, cli.get_command(context, name)) for name in cli.list_commands(context)]
    commands = [(name, command) for name, command in found if command is not None and not command.hidden]
    lines = ["# Commands", "", _prose(cli.help), "", "| command | does |", "| --- | --- |"]
    lines += [
        f"| [`{name}`]({name}.md) | {_cell(command.get_short_help_str(200))} |" for name, command in commands
    ]
    lines += ["", "Before the command:", "", _options(cli, context), "", _examples(cli.epilog)]
    lines += ["", "Bad input ends in one line and exit code 2; `--debug` shows the traceback.", ""]
    overview = ("commands/index.md", "Overview", "\n".join(lines))
    return [overview, *((f"commands/{name}.md", name, page(name, command)) for name, command in commands)]


def page(name: str, command: click.Command) -> str:
    """The Markdown of one command."""
    context = click.Context(command, info_name=f"hsi-cd {name}")
    synopsis = " ".join([f"hsi-cd {name}", *command.collect_usage_pieces(context)])
    parts = [f"# hsi-cd {name}", _prose(command.help), "```text\n" + synopsis + "\n```"]
    parts += [_examples(command.epilog), "## Options", _options(command, context)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _options(command: click.Command, context: click.Context) -> str:
    """A definition list: click's own words for each option, its default and range included."""
    entries = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            names, told = record
            entries.append(f"`{names}`\n\n:   {_cell(told) or 'No further word.'}")
    return "\n\n".join(entries)


def _prose(text: str | None) -> str:
    """Paragraphs of a help text; those that click is told not to wrap stay as they are."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text or "").split("\f")[0].strip())
    return "\n\n".join(
        "```text\n" + part.lstrip("\b\n") + "\n```" if part.startswith("\b") else _escape(part)
        for part in paragraphs
    )


def _examples(epilog: str | None) -> str:
    """The epilog: headings and lines of commands."""
    parts = []
    for block in re.split(r"\n\s*\n", (epilog or "").strip()):
        first, _, rest = block.lstrip("\b\n").partition("\n")
        if first.endswith(":") and rest:
            parts.append(f"## {first[:-1]}\n\n```bash\n{textwrap.dedent(rest).rstrip()}\n```")
        elif first:
            parts.append(_escape(" ".join([first, rest]).strip()))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return _escape(" ".join(text.split())).replace("|", "\\|")


def _escape(text: str) -> str:
    """What Markdown would take for markup."""
    return re.sub(r"([*_`\[\]])", r"\\\1", html.escape(text, quote=False))
