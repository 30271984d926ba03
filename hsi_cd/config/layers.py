"""From files and assignments to a run's configuration: layers, later ones winning, every mistake in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hsi_cd.config.run_config import RunConfig
from hsi_cd.errors import ConfigError, MissingInputError
from hsi_cd.paths import as_path
from hsi_cd.plugins import is_named, load_named


def resolve(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> RunConfig:
    """The configuration that results from ``layers`` of (where it comes from, nested keys), later ones winning.

    A part of the network that is named as ``module:Class`` is imported: the layers are what the user wrote.

    Raises:
        ConfigError: an unknown key (with the nearest right one), a value that is not allowed, or a part that
            cannot be imported.
    """
    merged: dict[str, Any] = {}
    layers = list(layers)
    for _, layer in layers:
        merged = merge(merged, layer)
    for source, layer in layers:
        # Whether settings fit together shows when all are there: another layer may bring what this one needs.
        _refuse(source, [problem for problem in _problems(layer) if not _may_be_right(problem, merged)])
    _refuse("configuration", _problems(merged))
    config = RunConfig.model_validate(_numbers(merged))
    model = config.model
    for what, kind in (
        ("attention", model.attention.kind),
        ("backbone", model.backbone.kind),
        ("head", model.head),
    ):
        if is_named(kind):
            load_named(kind, kind=what)
    return config


def _may_be_right(problem: Any, merged: Mapping[str, Any]) -> bool:
    """Whether what is wrong with a layer alone may be right with the others."""
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 3:  # an option of another package's part
        section: Any = merged
        for part in problem["loc"][:2]:
            section = section.get(part) if isinstance(section, Mapping) else None
        return isinstance(section, Mapping) and is_named(section.get("kind"))
    return bool(problem["type"] == "value_error")


def read_config_file(path: Path) -> dict[str, Any]:
    """The nested keys of a YAML file.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: it is not YAML, or not a mapping.
    """
    path = as_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise MissingInputError(f"config {path} is not a file: give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"config {path} is not text: expected a YAML file") from None
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that is none, as 2001-99-99
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"config {path} is not valid YAML{where}: check indentation and quotes") from None
    if content is None:
        return {}
    content = _numbers(content)
    if not isinstance(content, dict):
        raise ConfigError(
            f"config {path} holds a {type(content).__name__}: expected keys, as train: {{epochs: 50}}"
        )
    return content


def parse_assignment(text: str) -> dict[str, Any]:
    """``train.epochs=50`` as nested keys; the value is read as YAML.

    Of a key of several parts the first may be left out where the rest says which it is: ``backbone.width=32``.

    Raises:
        ConfigError: there is no ``=``, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"setting {text}: expected key=value, as train.epochs=50")
    try:
        nested = _numbers(yaml.safe_load(value))
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"setting {text}: {value!r} is not a YAML value") from None
    for part in reversed(whole_key(key.strip()).split(".")):
        nested = {part: nested}
    return dict(nested)


def nested_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a configuration nests them: ``{"train.epochs": 50}`` is ``{"train": {"epochs": 50}}``.

    Keys without dots stay as they are; the first part of a dotted key may be left out as in an assignment.
    """
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        inner: Any = value
        for part in reversed(whole_key(key).split(".")):
            inner = {part: inner}
        nested = merge(nested, inner)
    return nested


def whole_key(key: str) -> str:
    """A key with its first part, where that was left out and the rest says which it is; others as given."""
    if "." not in key or key.split(".")[0] in RunConfig.model_fields:
        return key
    ending = [full for full in _all_keys() if full.endswith(f".{key}")]
    return ending[0] if len(ending) == 1 else key


def to_yaml(config: RunConfig) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys of two layers, those of the later one winning."""
    merged = dict(base)
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _problems(values: Mapping[str, Any]) -> list[Any]:
    """What is wrong with a configuration, as pydantic tells it."""
    try:
        RunConfig.model_validate(_numbers(values))
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _numbers(value: Any, around: tuple[int, ...] = ()) -> Any:
    """YAML reads ``3e-3`` and ``2.5e3`` as text, for want of a dot or a sign; take it for the number it is."""
    if id(value) in around:  # YAML's aliases can make a list hold itself
        return value
    if isinstance(value, Mapping):
        return {key: _numbers(inner, (*around, id(value))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(inner, (*around, id(value))) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+", value):
        return float(value)
    return value


def _refuse(source: str, problems: list[Any]) -> None:
    if problems:
        raise ConfigError(f"{source}: {_describe(problems[0])}")


def _describe(problem: Any) -> str:
    """One line for what is wrong: the key, what was found, what is allowed."""
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _keys_of(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.4)
        elsewhere = [full for full in _all_keys() if full.rsplit(".", 1)[-1] == path[-1]]
        elsewhere.sort(key=lambda full: not full.startswith(path[0] + "."))
        nearest = elsewhere[0] if elsewhere else ".".join([*path[:-1], near[0]]) if near else None
        hint = f"did you mean {nearest}?" if nearest else f"known here are {', '.join(known)}"
        return f"unknown key {key}: {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    found = problem.get("input")
    shown = "" if problem["type"] == "value_error" or isinstance(found, dict) else f" is {found!r}"
    if problem["type"] == "literal_error":
        names = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        near = difflib.get_close_matches(str(found), names, n=1)
        message = f"did you mean {near[0]}? {message}" if near else message
    return f"{key}{shown}: {message[0].lower()}{message[1:]}"


def _keys_of(path: list[str]) -> list[str]:
    model: Any = RunConfig
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _all_keys(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += _all_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
