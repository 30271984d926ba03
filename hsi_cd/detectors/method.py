"""What a method is to the rest of the package, and how a class of another package becomes one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hsi_cd.detectors.base import Detector
from hsi_cd.errors import ConfigError
from hsi_cd.prepare.measurement import Preparation


@dataclass(frozen=True)
class Method:
    """A method of change detection.

    Attributes:
        name: what the command line calls it.
        title: what a table calls it.
        summary: one line on what it does.
        reference: where it comes from, with a DOI where there is one.
        needs_labels: whether it learns from labelled pixels.
        fit: ``fit(scene, *, options=None, seed=0)``, or with labels ``fit(scene, pixels, target, *, options=None,
            seed=0)``, where ``scene`` is a :class:`~hsi_cd.prepare.measurement.Measurement`; None for a network,
            which the training loop fits.
        from_state: ``from_state(state, *, device=None)``.
        options: its options with their defaults.
        preparation: from its options to how it has spectra prepared, so that a run measures the scene as the
            method will ask for it; None where it takes spectra as they are.
        settings: of a network: the settings of a run that make it this method, nested as in a configuration.
    """

    name: str
    title: str
    summary: str
    reference: str
    needs_labels: bool
    fit: Callable[..., Detector] | None
    from_state: Callable[..., Detector]
    options: Mapping[str, Any] = field(default_factory=dict)
    preparation: Callable[[Mapping[str, Any]], Preparation | None] = lambda options: None
    settings: Mapping[str, Any] = field(default_factory=dict)


_WORDS = {"title": str, "reference": str, "needs_labels": bool}


def method_of_class(plugin: Any, *, name: str) -> Method:
    """The method that a class of another package describes.

    It has ``title``, ``reference`` and ``needs_labels``, a docstring whose first line says what it does, and
    either ``settings``, which make the Siamese network this method, or ``fit`` and ``from_state`` as in
    :class:`Method`; ``options`` and ``preparation`` if it has any.

    Args:
        plugin: the class.
        name: by which it was named.

    Raises:
        ConfigError: what is missing, or of another kind.
    """
    wanted = {**_WORDS, **({"settings": Mapping} if hasattr(plugin, "settings") else {})}
    for attribute, kind in wanted.items():
        found = getattr(plugin, attribute, None)
        if not isinstance(found, kind):
            said = f"is {found!r}" if hasattr(plugin, attribute) else "is missing"
            raise _refused(name, f"{attribute} {said}, expected {kind.__name__.lower()}")
    summary = next(iter((inspect.getdoc(plugin) or "").splitlines()), "").rstrip(".")
    if not summary:
        raise _refused(name, "a docstring that says what it does is missing")
    words = {"title": plugin.title, "reference": plugin.reference, "summary": summary}
    if hasattr(plugin, "settings"):
        from hsi_cd.detectors.siamese import siamese_from_state

        return Method(
            name,
            **words,
            needs_labels=plugin.needs_labels,
            fit=None,
            from_state=siamese_from_state,
            settings=plugin.settings,
        )
    fit, from_state = (_callable(plugin, part, name=name) for part in ("fit", "from_state"))
    taught = ("pixels", "target") if plugin.needs_labels else ()
    _check_call(fit, ("scene", *taught), {"options": {}, "seed": 0}, name=name)
    _check_call(from_state, ("state",), {"device": None}, name=name)
    return Method(
        name,
        **words,
        needs_labels=plugin.needs_labels,
        fit=fit,
        from_state=from_state,
        options=getattr(plugin, "options", {}),
        preparation=getattr(plugin, "preparation", lambda options: None),
    )


def check_detector(detector: Any, *, method: str) -> None:
    """Refuse what a method fitted if it is no detector.

    Raises:
        ConfigError: with what it lacks of :class:`~hsi_cd.detectors.base.Detector`.
    """
    members = [part for part in vars(Detector) if not part.startswith("_")]
    missing = [part for part in members if not hasattr(detector, part)]
    if missing:
        raise _refused(method, f"what it fits, a {type(detector).__name__}, lacks {', '.join(missing)}")


def _callable(plugin: Any, part: str, *, name: str) -> Callable[..., Any]:
    found = getattr(plugin, part, None)
    if not callable(found):
        raise _refused(name, f"{part} is missing")
    called: Callable[..., Any] = found
    return called


def _check_call(
    function: Callable[..., Any], given: tuple[str, ...], named: Mapping[str, Any], *, name: str
) -> None:
    try:
        inspect.signature(function).bind(*given, **named)
    except (TypeError, ValueError) as error:
        call = ", ".join([*given, *(f"{key}=..." for key in named)])
        what = getattr(function, "__name__", "it")
        raise _refused(name, f"{what}({call}) is how it is called, but {error}") from error


def _refused(name: str, why: str) -> ConfigError:
    return ConfigError(f"method {name} does not keep the contract of a method: {why}; see help(hsi_cd.Method)")
