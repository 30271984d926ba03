"""The command ``hsi-cd``: finds the command's module, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from hsi_cd import __version__
from hsi_cd.api.processes import first_to_speak, heed_signals, launched
from hsi_cd.cli.remedies import for_command, in_options
from hsi_cd.errors import EXIT_REQUEUE, HsiCdError, Preempted, unknown_name

GROUPS: dict[str, dict[str, str]] = {
    "Look": {
        "info": "Say what is in a file: arrays, range, wavelengths, grid, labels; compare two cubes.",
        "datasets": "List the benchmark scenes: what is on disk, and where the rest is published.",
        "simulate": "Make a scene pair with known truth, to try everything on.",
        "draw": "Draw labels over a truth map as people do: few shapes, in clear places.",
        "methods": "List the methods, with what each does and where it comes from.",
        "model": "Show a network: layers, parameters, what learns, operations, memory.",
        "schedule": "Show the learning rate over a training: a table, and the curve.",
        "config": "Print the defaults, an example, or a scene's settings, to start a file from.",
    },
    "Map": {
        "register": "Lay the later date on the earlier one: measure the shift, undo it, write it.",
        "detect": "Map a scene pair without any label or training.",
        "predict": "Map a scene pair with a trained checkpoint, as GeoTIFF.",
        "series": "Compare many dates: when each pixel changed, how often, and what came back.",
        "mosaic": "Join the parts that predict --shard wrote to one map.",
    },
    "Learn": {
        "split": "Say which labelled pixels teach, and keep it as a file for train --split.",
        "train": "Learn from a scene's labels, map the scene, and score the map.",
        "suggest": "Say where to draw next: places whose labels would teach most.",
        "pretrain": "Let encoders learn from a scene without labels, for a training to start from.",
    },
    "Judge": {
        "evaluate": "Score a change map against a truth map.",
        "sample": "Draw random points of a map's classes, to be interpreted: the way to the area.",
        "area": "Tell how much changed, with an interval, from an interpreted sample of the map.",
        "import-map": "Bring a map made by other code into the tables, as a row with a name.",
    },
    "Many runs": {
        "benchmark": "Run methods x scenes x seeds, and print the table.",
        "batch": "Do a matrix of runs, or map many scene pairs, on GPUs, cores or a SLURM cluster.",
        "curve": "Scores against the number of labels, with bands over seeds.",
        "runs": "List runs, find the best, and say what differs between two.",
    },
    "In a GIS": {
        "qgis": "Put these commands into the Processing toolbox of QGIS, or take them out.",
    },
    "Show": {
        "table": "The table of a paper from run folders.",
        "figure": "The panel of a paper from run folders.",
        "report": "One HTML file to look at runs: maps, curves, table.",
    },
}
"""The commands by what a person wants, with what each does. A command is a line here and a module of its name in
``hsi_cd.cli``, with ``_`` for ``-``."""

COMMANDS = {name: text for commands in GROUPS.values() for name, text in commands.items()}
"""All commands, with what each does."""

_ANYWHERE = {"--debug": "debug", "-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose"}
"""Options that may stand anywhere."""

_INTERRUPTED = "interrupted; what was finished is kept"

EPILOG = """\b
First steps:
  hsi-cd simulate demo/scene
  hsi-cd train --t1 demo/scene/t1.tif --t2 demo/scene/t2.tif \\
      --truth demo/scene/truth.tif --run demo/run
  hsi-cd predict --checkpoint demo/run/best.pt --t1 demo/scene/t1.tif \\
      --t2 demo/scene/t2.tif --output demo/change.tif
  hsi-cd evaluate demo/change.tif --truth demo/scene/truth.tif \\
      --exclude demo/run/split.npz

Each command's own help, as hsi-cd train --help, shows its options and examples.
"""


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        place = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"hsi_cd.cli.{place}"), place)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name, the error says the nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown_name("command", args[0], COMMANDS)
        team = launched()
        if team is not None and args[0] != "train":
            raise click.UsageError(
                f"torchrun started {team.size} processes, but {args[0]} runs in one: start it without torchrun; "
                "predict --shard maps a scene in several"
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click itself would put an empty line before ours when it is interrupted."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            return _complain(_INTERRUPTED, code=130)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        widest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{widest}}", text) for name, text in commands.items()])


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="hsi-cd")
@click.option("-q", "--quiet", is_flag=True, help="Only errors and the asked-for result.")
@click.option("-v", "--verbose", is_flag=True, help="Tell what is decided on the way, too.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and all that is logged.")
def cli(quiet: bool, verbose: bool, debug: bool) -> None:
    """Hyperspectral change detection: two cubes in, a georeferenced change map and its scores out."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 well, 1 a fault of ours, 2 a fault of the input."""
    _speak_utf8()
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def _speak_utf8() -> None:
    """See to it that any name of a file can be read, written and printed.

    Where the locale is none of UTF-8 (``LC_ALL=C`` with ``PYTHONUTF8=0``), Python hands GDAL names that it cannot
    write: the command is started again in Python's UTF-8 mode, which what it starts inherits.
    """
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run the command line.

    Args:
        arguments: as typed after ``hsi-cd``; ``--debug``, ``--quiet`` and ``--verbose`` may stand anywhere.

    Returns:
        The exit code.
    """
    said, arguments = _split_off(arguments)
    debug = "debug" in said
    handler = logging.StreamHandler()
    handler.setFormatter(_InOptions("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    for name in ("matplotlib", "rasterio", "pyogrio", "PIL", "tensorboardX"):  # their chatter helps nobody here
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), _volume(said):
        warnings.showwarning = _show_warning
        return _run(arguments, debug=debug, contradiction={"quiet", "verbose"} <= said)


class _InOptions(logging.Formatter):
    """What is logged, with the library's remedies in the words of the command line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line that is shown."""
        return in_options(super().format(record))


def _split_off(arguments: list[str]) -> tuple[set[str], list[str]]:
    """The options that may stand anywhere, and the other arguments; after ``--`` nothing is an option."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    said = {_ANYWHERE[word] for word in arguments[:end] if word in _ANYWHERE}
    return said, [word for i, word in enumerate(arguments) if i >= end or word not in _ANYWHERE]


@contextmanager
def _volume(said: set[str]) -> Iterator[None]:
    """How much the package says, while a command runs: the level of its logger, which progress heeds, too."""
    logger = logging.getLogger("hsi_cd")
    before = logger.level
    if "quiet" in said:
        logger.setLevel(logging.ERROR)
    elif "verbose" in said and "debug" not in said:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)


def _run(arguments: list[str], *, debug: bool, contradiction: bool = False) -> int:
    named = next(iter(arguments), "")  # the command, whose options a remedy names
    try:
        if contradiction:
            raise click.UsageError("--quiet and --verbose contradict each other: give one of them")
        if "HSI_CD_PROGRESS" in os.environ:  # before any work; what reads it is not imported for a quick --help
            from hsi_cd.progress import interval

            interval()
        with heed_signals():  # of every command: what it has half-written goes before it does
            code = cli.main(arguments, prog_name="hsi-cd", standalone_mode=False, obj=["hsi-cd", *arguments])
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return 0
    except click.ClickException as error:
        if debug:
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "hsi-cd"
        return _complain(f"{error.format_message()} (see {command} --help)", code=2)
    except (HsiCdError, MemoryError) as error:
        if debug:
            raise
        return _complain(_one_line(error, named), code=2)
    except (KeyboardInterrupt, click.Abort):
        return _complain(_INTERRUPTED, code=130)
    except Preempted as error:
        return _complain(f"asked to leave by {in_options(str(error))}", code=EXIT_REQUEUE)
    except BrokenPipeError:
        sys.stderr.close()  # or Python complains a second time when it leaves
        return 0
    except Exception as error:
        if debug:
            raise
        if type(error).__name__ == "OutOfMemoryError":  # torch's; not imported here, for a quick --help
            full = "the GPU's memory is full: use --device cpu, or --set train.batch_size=32"
            return _complain(for_command(full, named), code=2)
        return _complain(
            f"unexpected {type(error).__name__}: {_one_line(error, named)} (--debug shows where)", code=1
        )


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning in one line, without the place in the code that Python would add."""
    logging.getLogger(category.__module__).warning("%s", " ".join(str(message).split()))


def _one_line(error: BaseException, command: str) -> str:
    text = " ".join(str(error).split())
    return for_command(text, command) or type(error).__name__


def _complain(message: str, *, code: int) -> int:
    if first_to_speak():
        click.echo(f"hsi-cd: error: {message}", err=True)
    return code
