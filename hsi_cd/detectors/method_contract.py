"""How a class of another package becomes a method, and what it must keep to; what is missing is said."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from hsi_cd import plugins
from hsi_cd.config import resolve
from hsi_cd.config.layers import nested_settings
from hsi_cd.detectors.detector_contract import blamed, refused
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.method_options import Range
from hsi_cd.detectors.siamese import siamese_from_state
from hsi_cd.errors import ConfigError
from hsi_cd.prepare.measurement import Preparation

_WORDS = {"title": str, "reference": str, "needs_labels": bool}
_SECTIONS = ("model", "train", "prepare")
_TAKEN = ("seed", "protocol", "settings", "method", "labels", "scene")  # names that classes and verbs have already


def method_of_class(plugin: Any, *, name: str, place: str) -> Method:
    """The method that a class of another package describes, as :class:`Method` says.

    Args:
        plugin: the class.
        name: by which it was named.
        place: where it is, as ``module:Class``.

    Raises:
        ConfigError: what is missing, or of another kind.
    """
    if not isinstance(plugin, type):
        raise refused(name, f"it is a {type(plugin).__name__}, expected a class")
    plugin = cast("Any", plugin)
    network = hasattr(plugin, "settings")
    for attribute, kind in {**_WORDS, **({"settings": Mapping} if network else {})}.items():
        _check_kind(plugin, attribute, kind, name=name)
    summary = next(iter((plugin.__doc__ or "").strip().splitlines()), "").rstrip(". ")
    if not summary:
        raise refused(name, "a docstring that says what it does is missing")
    own_name = getattr(plugin, "name", "")
    if own_name and not plugins.is_row(own_name):
        raise refused(name, f"name is {own_name!r}, expected letters, digits, '.', '_', '+' and '-'")
    words = {"title": plugin.title, "reference": plugin.reference, "summary": summary, "own_name": own_name}
    if network:
        return Method(
            name,
            **words,
            needs_labels=plugin.needs_labels,
            fit=None,
            from_state=siamese_from_state,
            settings=_checked_settings(plugin.settings, name=name),
            place=place,
        )
    fit, from_state = (_callable(plugin, part, name=name) for part in ("fit", "from_state"))
    taught = ("pixels", "target") if plugin.needs_labels else ()
    _check_call(fit, ("scene", *taught), ("options", "seed"), name=name)
    _check_call(from_state, ("state",), ("device",), name=name)
    options = _checked_options(getattr(plugin, "options", {}), name=name)
    return Method(
        name,
        **words,
        needs_labels=plugin.needs_labels,
        fit=fit,
        from_state=from_state,
        options=options,
        ranges=_checked_ranges(getattr(plugin, "ranges", {}), options, name=name),
        preparation=_checked_preparation(plugin, options, name=name),
        place=place,
    )


def _check_kind(plugin: type, attribute: str, kind: type, *, name: str) -> None:
    found = getattr(plugin, attribute, None)
    if not isinstance(found, kind) or found == "":
        said = f"is {found!r}" if hasattr(plugin, attribute) else "is missing"
        expected = {str: "text", bool: "True or False"}.get(kind, "a mapping")
        raise refused(name, f"{attribute} {said}, expected {expected}")


def _checked_settings(settings: Mapping[str, Any], *, name: str) -> Mapping[str, Any]:
    nested = nested_settings(settings)
    for section in nested:
        if section not in _SECTIONS:
            raise refused(name, f"settings hold {section}, expected those of {', '.join(_SECTIONS)}")
    try:
        resolve([("settings", nested)])
    except ConfigError as error:
        raise refused(name, str(error)) from error
    return nested


def _checked_options(options: Any, *, name: str) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise refused(name, f"options is {options!r}, expected a mapping of names to default values")
    for option, default in options.items():
        if not (isinstance(option, str) and option.isidentifier()) or option in _TAKEN:
            raise refused(name, f"an option is called {option!r}, expected another name")
        if not isinstance(default, str | int | float):
            raise refused(name, f"option {option} is {default!r}, expected text, a number, True or False")
    return options


def _checked_ranges(ranges: Any, options: Mapping[str, Any], *, name: str) -> Mapping[str, Range]:
    if not isinstance(ranges, Mapping):
        raise refused(name, f"ranges is {ranges!r}, expected a mapping of options to (least, greatest)")
    found = {}
    for option, bounds in ranges.items():
        if isinstance(options.get(option), bool | str | None):
            raise refused(name, f"ranges names {option!r}, which is no option with a number")
        try:
            low, high = (None if bound is None else float(bound) for bound in bounds)
        except (TypeError, ValueError):
            raise refused(name, f"the range of {option} is {bounds!r}, expected (least, greatest)") from None
        found[option] = Range(-math.inf if low is None else low, high)
        if options[option] not in found[option]:
            raise refused(name, f"option {option} is {options[option]!r} by default, expected {found[option]}")
    return found


def _checked_preparation(
    plugin: type, options: Mapping[str, Any], *, name: str
) -> Callable[[Mapping[str, Any]], Preparation | None]:
    if not hasattr(plugin, "preparation"):
        return lambda options: None
    found = _callable(plugin, "preparation", name=name)
    _check_call(found, ("options",), (), name=name)
    with blamed(name, "preparation"):
        given = found(dict(options))
    if not (given is None or isinstance(given, Preparation)):
        raise refused(name, f"preparation(options) is {given!r}, expected a Preparation or None")
    return found


def _callable(plugin: type, part: str, *, name: str) -> Callable[..., Any]:
    found = getattr(plugin, part, None)
    if not callable(found):
        raise refused(name, f"{part} is missing")
    if inspect.isfunction(inspect.getattr_static(plugin, part)):  # nobody makes an instance
        raise refused(name, f"{part} is a method of instances, expected a staticmethod or a classmethod")
    called: Callable[..., Any] = found
    return called


def _check_call(
    function: Callable[..., Any], given: tuple[str, ...], named: tuple[str, ...], *, name: str
) -> None:
    try:
        inspect.signature(function).bind(*given, **dict.fromkeys(named))
    except (TypeError, ValueError) as error:
        call = ", ".join([*given, *(f"{key}=..." for key in named)])
        what = getattr(function, "__name__", "it")
        raise refused(name, f"{what}({call}) is how it is called, but {error}") from error
