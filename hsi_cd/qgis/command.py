"""The command ``hsi-cd`` as a process: its progress, what it says, its error, and how it is cancelled."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

INTERVAL = 0.5
"""Seconds between two lines of progress that the command is asked for."""

PATIENCE = 15.0
"""Seconds that a cancelled command has to tidy up before it is ended; files appear whole or not at all."""

_OF_QGIS = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")
"""What QGIS sets for its own Python and GDAL, and what would mislead those of the command."""

_PROGRESS, _WARNING, _ERROR = "progress: ", "WARNING: ", "hsi-cd: error: "
_SHARE = re.compile(r"\((\d{1,3}) %\)")
_VERSION = re.compile(r"hsi-cd, version (\d+(?:\.\d+)*)")
_WHERE = "Settings, Options, Processing, Providers, hsi-cd"


class CommandError(RuntimeError):
    """The command failed, is absent or too old; the message is its one line."""


class CancelledError(CommandError):
    """The command was cancelled, and left nothing half-written."""


@dataclass(frozen=True)
class Line:
    """A line that the command wrote while it ran.

    Attributes:
        kind: ``progress``, ``warning``, ``error`` or ``said``.
        text: without what marks the kind.
        share: of the task that is under way, 0 to 1, or None where it is not told.
    """

    kind: str
    text: str
    share: float | None = None


def read_line(text: str) -> Line:
    """What a line of standard error means.

    Example:
        >>> read_line("progress: scoring: 3 of 100 rows (3 %) after 0:30 min")
        Line(kind='progress', text='scoring: 3 of 100 rows (3 %) after 0:30 min', share=0.03)
    """
    text = text.rstrip()
    if text.startswith(_PROGRESS):
        found = _SHARE.search(text)
        return Line("progress", text[len(_PROGRESS) :], int(found[1]) / 100 if found else None)
    for kind, mark in (("warning", _WARNING), ("error", _ERROR)):
        if text.startswith(mark):
            return Line(kind, text[len(mark) :])
    return Line("said", text)


def check_version(command: str, least: str, *, is_cancelled: Callable[[], bool] = lambda: False) -> None:
    """See that the command is there, is hsi-cd, and is no older than this plugin.

    Raises:
        CommandError: it is absent, something else, or older.
        CancelledError: ``is_cancelled`` said so.
    """
    told = run_command([command, "--version"], is_cancelled=is_cancelled)
    found = _VERSION.search(told)
    if found is None:
        raise CommandError(
            f"{command} is not hsi-cd: it does not tell its version; name the right one in {_WHERE}"
        )
    if _numbers(found[1]) < _numbers(least):
        raise CommandError(
            f"{command} is hsi-cd {found[1]}, but this plugin needs {least} or later: update it, or run "
            "hsi-cd qgis install from the environment that is to be used"
        )


def _numbers(version: str) -> list[int]:
    """The numbers of a release, as ``[0, 1]`` of 0.1.0.dev3."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def run_command(
    words: list[str],
    *,
    tell: Callable[[Line], None] = lambda line: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """Run a command to its end.

    Args:
        words: the command and its arguments; no shell is between.
        tell: is handed each line of standard error as it comes.
        is_cancelled: is asked ten times a second.

    Returns:
        What it wrote on standard output.

    Raises:
        CommandError: it cannot be started, or ended with an error, which is the message.
        CancelledError: ``is_cancelled`` said so, and it has ended.
    """
    with _start(words) as process:
        try:
            said, complaint, cancelled = _listen(process, tell, is_cancelled)
        except BaseException:
            _interrupt(process)
            raise
    if cancelled:
        raise CancelledError(
            "cancelled: hsi-cd was interrupted; what was finished is kept, nothing is half-written"
        )
    if process.returncode:
        raise CommandError(complaint or f"{words[0]} ended with code {process.returncode}, and said nothing")
    return said


def _listen(
    process: subprocess.Popen[str], tell: Callable[[Line], None], is_cancelled: Callable[[], bool]
) -> tuple[str, str, bool]:
    """Hear a process to its end: standard output, its error or last word, and whether it was cancelled."""
    lines: queue.Queue[str | None] = queue.Queue()
    said: list[str] = []
    readers = [
        threading.Thread(target=_pass_on, args=(process.stderr, lines), daemon=True),
        threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True),
    ]
    for reader in readers:
        reader.start()
    error = last = ""
    ended = cancelled = False
    while not ended and not cancelled:
        try:
            text = lines.get(timeout=0.1)
        except queue.Empty:
            text = ""
        ended = text is None
        line = read_line(text or "")
        if line.kind == "error":
            error = line.text
        elif line.text:
            last = line.text
            tell(line)
        cancelled = not ended and is_cancelled()
    if cancelled:
        _interrupt(process)
    process.wait()
    for reader in readers:
        reader.join(timeout=5)
    return "".join(said), error or last, cancelled


def _start(words: list[str]) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _OF_QGIS}
    environment |= {"HSI_CD_PROGRESS": str(INTERVAL), "PYTHONIOENCODING": "utf-8"}
    # Of its own group, as a shell gives it, so that Ctrl-C reaches what it started, too, and QGIS not.
    own: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=environment,
            **own,
        )
    except OSError as error:
        raise CommandError(
            f"the command {words[0]} cannot be run ({error.strerror or error}): run hsi-cd qgis install from the "
            f"environment where hsi-cd is, or name the command in {_WHERE}"
        ) from error


def _pass_on(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, as from a terminal, and time to tidy up; who does not hear is ended."""
    for end in ("interrupt", "kill"):
        _send(process, end)
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)


def _send(process: subprocess.Popen[str], end: str) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        if end == "interrupt":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.kill()
        return
    # Where QGIS itself was started deaf to Ctrl-C, as a script's background job is, so is what it starts.
    deaf = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    number = signal.SIGKILL if end == "kill" else signal.SIGTERM if deaf else signal.SIGINT
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, number)
