"""Options that belong together, handed to the command as one value."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def gathering(into: str, make: Callable[..., Any], *options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """A decorator that gives a command some options, and hands it what they say as one value.

    Args:
        into: name of the command's parameter.
        make: makes the value; its parameters are named as the options' own. One that no option gives keeps its
            default.
        options: click's options, in the order in which the help lists them.
    """
    names = list(inspect.signature(make).parameters)

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(*arguments: Any, **given: Any) -> Any:
            own = {name: given.pop(name) for name in names if name in given}
            return command(*arguments, **{into: make(**own)}, **given)

        decorated: Any = called
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
