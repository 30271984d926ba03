"""Which field of drawn shapes tells their class, and what is said in it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.class_names import ClassNames, is_number, known_as, text_of_value
from hsi_cd.io.told_classes import ONE_TWO, meaning_of, meaning_of_answer, scheme_by_numbers
from hsi_cd.io.vector_files import ShapeTable
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, LabelScheme

_log = logging.getLogger(__name__)

UNSAID = -1
"""Code of a shape whose class nobody has filled in."""

_DECLARE = "declare what they mean with changed= and unchanged=, and with ignore= those to be left out"
_NUMBERED = ("fid", "ogcfid", "id", "gid", "oid", "objectid", "uid", "uuid", "number", "nr", "index")  # no class
_USUAL = ("class", "classes", "classname", "label", "labels", "change", "changed", "ischange", "klasse", "classe",
          "clase", "category", "kategorie", "categorie", "type", "truth", "status", "state", "klass")  # fmt: skip
_CLASSES = 12  # distinct values up to which a field may be one of classes
_SHOWN = 8


@dataclass(frozen=True)
class ShapeClasses:
    """The classes of the features of some tables, one after the other.

    Attributes:
        codes: UNCHANGED, CHANGED, UNLABELLED or UNSAID of each, int16 ``(features,)``.
        kinds: kind of change of each, from the values where these are numbers, else counted from 1, int32
            ``(features,)``; None where there is one kind.
        scheme: what the kinds mean; None where there is one kind.
        names: what the kinds are called, where their values are no numbers.
    """

    codes: NDArray[np.int16]
    kinds: NDArray[np.int32] | None = None
    scheme: LabelScheme | None = None
    names: tuple[str, ...] = ()


def classes_of(
    tables: Sequence[ShapeTable],
    *,
    names: ClassNames | None = None,
    field: str | None = None,
    kinds: bool = False,
) -> ShapeClasses:
    """What is said of each feature.

    The field is the one that is named, or the only one that could tell classes: whose values are understood, or
    declared. Where a layer has no field for it, but its own name or its file's means a class, this is the class of
    all its shapes.

    Args:
        tables: shapes with their fields.
        names: what the values mean; by default told from them.
        field: the field that tells the class; tables without it beside one that has it find their own.
        kinds: whether values that nobody declared are kinds of change, all but those that mean unchanged.

    Raises:
        LabelError: there is no such field, there are several, or a value is not understood; they are listed.
    """
    having = [field is None or bool(_called(field, table)) for table in tables]
    wanted = [field if has or not any(having) else None for has in having]
    keys = [key for table, own in zip(tables, wanted, strict=True) for key in _keys_of(table, names, own)]
    name = " + ".join(table.name for table in tables)
    said = Counter(key for key in keys if key is not None)
    if names is None and kinds:
        names = _kinds_in(said, name)
    codes = _understood(said, name) if names is None else names.codes
    strange = {key: count for key, count in said.items() if key.casefold() not in codes}
    if strange:
        expected = "" if names is None else f"expected {names.describe()}; "
        raise LabelError(f"{name}: the classes {counted(strange)} are not understood: {expected}{_DECLARE}")
    found = np.array([UNSAID if key is None else codes[key.casefold()] for key in keys], dtype=np.int16)
    if names is None or len(names.changed) < 2:
        return ShapeClasses(found)
    changed = [known_as(value) for value in names.changed]
    whole = all(_WHOLE.fullmatch(value) for value in (*changed, *names.unchanged, *names.ignore))
    numbers = {value: int(value) if whole else place for place, value in enumerate(changed, start=1)}
    of_each = np.array([numbers.get(known_as(key), 0) for key in keys], dtype=np.int32)
    if whole:
        given = (
            tuple(int(value) for value in values) for values in (names.unchanged, names.changed, names.ignore)
        )
        return ShapeClasses(found, of_each, LabelScheme(*given))
    _log.info("%s: the kinds of change are %s", name, ", ".join(f"{n} {value!r}" for value, n in numbers.items()))
    called = tuple(" ".join(value.split()) for value in names.changed)
    return ShapeClasses(found, of_each, LabelScheme((0,), tuple(numbers.values())), called)


_WHOLE = re.compile(r"-?\d{1,9}")


def _kinds_in(said: Mapping[str, int], name: str) -> ClassNames | None:
    """The classes of values of which those that mean nothing by habit are kinds of change.

    Returns:
        None where all are understood, or none of them means unchanged.
    """
    codes = _understood(said, name)
    if all(key.casefold() in codes for key in said):
        return None
    numbered = all(map(is_number, said))
    unchanged = [key for key in said if codes.get(key.casefold()) == UNCHANGED or (numbered and key == "0")]
    ignored = [key for key in said if codes.get(key.casefold()) == UNLABELLED]
    changed = {known_as(key): key for key in said if key not in (*unchanged, *ignored)}
    if not unchanged or not changed:
        return None
    ordered = sorted(changed.values(), key=lambda key: (float(key) if numbered else 0.0, key.casefold()))
    return ClassNames(tuple({known_as(key): key for key in unchanged}.values()), tuple(ordered), tuple(ignored))


def _understood(said: Mapping[str, int], name: str) -> dict[str, int]:
    """What values mean by habit; those that mean nothing are left out."""
    held_as = {key.casefold() for key in said}
    numbers = {key: float(key) for key in held_as if is_number(key)}
    codes: dict[str, int] = {}
    if numbers:
        held = set(numbers.values())
        scheme = scheme_by_numbers(np.array(sorted(held))) or (
            # Of one class alone: that this is so is said elsewhere.
            scheme_by_numbers(np.array(sorted(held | {0.0, 1.0})))
            or scheme_by_numbers(np.array(sorted(held | {0.0, 255.0})))
        )
        if scheme is ONE_TWO and held >= {1.0, 2.0}:
            _log.warning(
                "%s is read as 1 unchanged, 2 changed; some labels have 1 and 2 the other way: declare it with "
                "changed= and unchanged=",
                name,
            )
        if scheme is not None:
            by_value = dict.fromkeys(scheme.unchanged, UNCHANGED) | dict.fromkeys(scheme.changed, CHANGED)
            by_value |= dict.fromkeys(scheme.ignore, UNLABELLED)
            codes = {key: by_value[int(value)] for key, value in numbers.items() if value in by_value}
    words = {key: meaning_of_answer(key) for key in said if key.casefold() not in numbers}
    return codes | {key.casefold(): code for key, code in words.items() if code is not None}


def _keys_of(table: ShapeTable, names: ClassNames | None, field: str | None) -> list[str | None]:
    """What the chosen field says of each feature of a table; None where it says nothing."""
    columns = {name: [text_of_value(value) for value in values] for name, values in table.fields.items()}
    if field is not None:
        named = field_called(field, table)
        _refuse_reversed(table.name, named, columns[named], names)
        return columns[named]
    filled = {name: keys for name, keys in columns.items() if any(key is not None for key in keys)}
    told = {name: keys for name, keys in filled.items() if _tells(keys, names) and not _counts(name, keys)}
    usual = [name for name in columns if _plain(name) in _USUAL]
    meant = {name: filled[name] for name in usual if name in filled}
    options = told
    if names is None and usual and not set(usual) & set(told):
        # Whatever else says yes or no, it is not what the field of such a name is there for.
        options = meant | told if meant else {}
    if options:
        chosen = _one_of(options, names)
    else:
        if names is None and table.is_class:
            return [table.layer] * len(table)
        if not len(table) or (usual and not meant):
            return [None] * len(table)
        plain = {n: keys for n, keys in filled.items() if not _is_numbering(n) and _may_be_classes(keys)}
        called = [each for each in (table.layer, table.name.rsplit(".", 1)[0]) if meaning_of(each) is not None]
        if names is None and called and not plain:
            return [called[0]] * len(table)
        options = plain or filled or columns
        chosen = next(iter(plain)) if len(plain) == 1 else None
    if chosen is None:
        raise _unclear(table.name, options)
    _refuse_reversed(table.name, chosen, columns[chosen], names)
    return columns[chosen]


def _unclear(table: str, options: Mapping[str, Sequence[str | None]]) -> LabelError:
    """The error where no field tells the class, or several could."""
    if not options:
        return LabelError(f"{table} has no field that tells a class: add one, as class with changed and unchanged")
    listed = "; ".join(f"{name[:40]!r} ({_examples(keys)})" for name, keys in list(options.items())[:_SHOWN])
    more = f" and {len(options) - _SHOWN} more" if len(options) > _SHOWN else ""
    return LabelError(
        f"{table} does not tell which field holds the class: name it by field=; it has {listed}{more}"
    )


def _refuse_reversed(table: str, field: str, keys: Sequence[str | None], names: ClassNames | None) -> None:
    """Refuse yes or 1 in a field called *unchanged*, which would be read as changed."""
    if names is None and meaning_of(field) == UNCHANGED and any(key and meaning_of(key) is None for key in keys):
        raise LabelError(
            f"{table}: the field {field!r} says {_examples(keys)}, which may mean that a place is unchanged, or "
            f"changed: {_DECLARE}"
        )


def _called(field: str, table: ShapeTable) -> list[str]:
    """The fields of this name; where there is none, those that differ from it in small and large letters."""
    same = [name for name in table.fields if name == field]
    return same or [name for name in table.fields if name.casefold() == field.casefold()]


def field_called(field: str, table: ShapeTable) -> str:
    """The field of a table that has this name, whatever its letters' case.

    Raises:
        LabelError: there is none, or several.
    """
    same = _called(field, table)
    if len(same) != 1:
        listed = ", ".join(repr(name[:40]) for name in list(table.fields)[:_SHOWN]) or "none"
        raise LabelError(f"{table.name} has no field {field!r}: its fields are {listed}; name one by field=")
    return same[0]


def _tells(keys: Sequence[str | None], names: ClassNames | None) -> bool:
    """Whether all that a field says is a class; with declared ones, whether any of it is."""
    held = {key.casefold() for key in keys if key is not None}
    if names is not None:
        return bool(held & set(names.codes))
    if len(held) > _CLASSES:
        return False
    if all(map(is_number, held)):
        numbers = {float(key) for key in held}
        return numbers <= {0.0, 1.0} or scheme_by_numbers(np.array(sorted(numbers))) is not None
    return all(is_number(key) or meaning_of_answer(key) is not None for key in held)


def _one_of(told: Mapping[str, Sequence[str | None]], names: ClassNames | None) -> str | None:
    """The one field that tells classes, or does so better than the others; None where there is none."""
    narrower: tuple[Callable[[str], bool], ...] = (
        lambda name: not _is_numbering(name),
        lambda name: names is None or {known_as(key) for key in told[name] if key} <= set(names.codes),
        lambda name: _plain(name) in _USUAL,
        lambda name: len({key for key in told[name] if key is not None}) > 1,
    )
    left = list(told)
    for rule in narrower:
        left = [name for name in left if rule(name)] or left
    senses = {tuple(map(_sense, told[name])) for name in left}
    return left[0] if len(left) == 1 or (names is None and len(senses) == 1) else None


def _sense(key: str | None) -> object:
    """What a value says, as two fields may say the same in other words."""
    if key in ("0", "1"):
        return CHANGED if key == "1" else UNCHANGED
    return key if key is None or is_number(key) else meaning_of_answer(key)


def _counts(name: str, keys: Sequence[str | None]) -> bool:
    """Whether a field numbers features: by its name, and no number twice."""
    said = [key for key in keys if key is not None]
    return _is_numbering(name) and len(set(said)) == len(said)


def _is_numbering(name: str) -> bool:
    return _plain(name) in _NUMBERED


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _may_be_classes(keys: Iterable[str | None]) -> bool:
    """Whether values are few, and text or whole numbers."""
    held = {key for key in keys if key is not None}
    return len(held) <= _CLASSES and not all(is_number(key) and not _WHOLE.fullmatch(key) for key in held)


def values_of(column: NDArray[Any]) -> dict[str, int]:
    """What a field says, with how often, the commonest first."""
    return dict(Counter(key for key in map(text_of_value, column) if key is not None).most_common())


def counted(said: Mapping[str, int]) -> str:
    """Values with how often they are said, for messages: the first few."""
    listed = ", ".join(f"{key[:40]!r} ({count})" for key, count in list(said.items())[:_SHOWN])
    return listed + (f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else "")


def _examples(keys: Iterable[str | None]) -> str:
    held = list(dict.fromkeys(key for key in keys if key is not None))
    return ", ".join(repr(key[:24]) for key in held[:4]) + (", ..." if len(held) > 4 else "") if held else "empty"
