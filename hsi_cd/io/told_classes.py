"""Which values of a label map mean changed: by its class names, its colours, and last by the numbers alone.

Numbers are a habit, names and colours are what the file's author saw. Where they contradict the habit they win;
where they do so without saying clearly what is meant, the file is refused with what it shows.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.legend import Colour, Legend
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, LabelScheme

_log = logging.getLogger(__name__)

ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,), ignore=(255,))
ZERO_FULL = LabelScheme(unchanged=(0,), changed=(255,))
ONE_TWO = LabelScheme(unchanged=(1,), changed=(2,), ignore=(0,))
_BY_NUMBERS: dict[frozenset[float], LabelScheme] = {
    frozenset((0, 1)): ZERO_ONE,
    frozenset((0, 1, 255)): ZERO_ONE,
    frozenset((0, 255)): ZERO_FULL,
    frozenset((1, 2)): ONE_TWO,
    frozenset((0, 1, 2)): ONE_TWO,
}

DECLARE = "declare what the values mean with changed= and unchanged="

# Words of class names, in small letters without accents, in the languages in which such maps are made.
_FILLERS = frozenset(
    ("a", "an", "the", "of", "class", "classes", "area", "areas", "pixel", "pixels", "region", "regions", "land",
     "cover", "label", "map", "roi", "evf", "points", "detected", "de", "des", "del", "zone", "flache")
)  # fmt: skip
_UNCHANGED = frozenset(
    ("unchanged", "unchange", "nochange", "nochanges", "nonchange", "nonchanged", "notchanged", "stable",
     "constant", "persistent", "invariant", "inchange", "inchangee", "inchanges",
     "unverandert", "inalterado", "invariato",
     "未变化", "无变化", "没有变化", "不变", "未变")
)  # fmt: skip
_CHANGED = frozenset(
    ("changed", "change", "changes", "changing", "changement", "changements", "changee", "anderung", "anderungen",
     "verandert", "veranderung", "geandert", "cambio", "cambios", "cambiado", "cambiato", "cambiamento", "mudanca",
     "mudancas", "变化", "已变化")
)  # fmt: skip
_NEGATIONS = frozenset(
    ("no", "non", "not", "un", "without", "pas", "sans", "kein", "keine", "nicht", "ohne", "sin", "sem", "nao",
     "senza")
)  # fmt: skip
_UNLABELLED = frozenset(
    ("unclassified", "unlabelled", "unlabeled", "unknown", "nodata", "background", "ignore", "ignored",
     "undefined", "outside", "unassigned", "void", "masked", "none", "null", "missing", "na", "nan", "empty",
     "invalid", "unklassifiziert", "hintergrund", "未标记", "未标注", "未分类", "背景")
)  # fmt: skip
_YES = frozenset(("yes", "y", "true", "oui", "vrai", "ja", "wahr", "si", "sim", "是"))
_NO = frozenset(("no", "n", "false", "non", "faux", "nein", "falsch", "nao", "否"))
_NEGATED = (
    "label",
    "classif",
    "classe",
    "clasific",
    "klassifi",
)  # of what is not labelled, what goes on behind "not"
_COUNTED = re.compile(r"\[[^\]]*\]|\b\d+ (?:points|pixels)\b", re.IGNORECASE)  # ENVI: "Changed [Red] 32 points"
_BARE = re.compile(r"^(?:class|category|klasse|value|label|region)?\W*\d*$", re.IGNORECASE)  # "Class #1": no name

_DARK, _BRIGHT = 64, 192  # of 0-255: below black, above white, as anybody would call it
_COLOURED = 48  # difference of the largest and the smallest of red, green and blue from which a colour is no grey
_APART = 16  # of 0-255: classes that stayed as far apart were not smeared into one another
_SHOWN = 8


def scheme_by_numbers(values: NDArray[np.generic]) -> LabelScheme | None:
    """The label scheme that these distinct values have by habit; None where they have none."""
    return _BY_NUMBERS.get(frozenset(float(value) for value in values))


def meaning_of(name: str) -> int | None:
    """What a class name means: UNCHANGED, CHANGED or UNLABELLED; None where it says none of these."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _COUNTED.sub(" ", name))  # NoChange
    # Letters of every script: a word of which some were dropped could say the opposite.
    letters = "".join(c for c in unicodedata.normalize("NFKD", parted.casefold()) if not unicodedata.combining(c))
    words = [word for word in re.split(r"[\W\d_]+", letters) if word and word not in _FILLERS]
    joined = "".join(words)
    if joined in _UNCHANGED or (len(words) == 2 and words[0] in _NEGATIONS and words[1] in _CHANGED):
        return UNCHANGED
    if joined in _CHANGED:
        return CHANGED
    if joined in _UNLABELLED or (len(words) == 2 and words[0] in _NEGATIONS and words[1].startswith(_NEGATED)):
        return UNLABELLED
    return None


def is_bare(name: str) -> bool:
    """Whether a class name is none, as ``Class 1`` or ``3``."""
    return _BARE.match(name) is not None


def meaning_of_answer(text: str) -> int | None:
    """What somebody wrote to say whether a place changed: a class name, or yes or no; None where it is neither."""
    meant = meaning_of(text)
    if meant is not None:
        return meant
    word = "".join(
        c for c in unicodedata.normalize("NFKD", text.strip().casefold()) if not unicodedata.combining(c)
    )
    return CHANGED if word in _YES else UNCHANGED if word in _NO else None


def scheme_by_names(
    values: NDArray[np.generic], names: Mapping[float, str], *, name: str, remedy: str = DECLARE
) -> LabelScheme | None:
    """The label scheme that class names tell.

    Args:
        values: the distinct values that the map holds.
        names: class name by value.
        name: what messages call the map.
        remedy: what to do, for messages.

    Returns:
        The scheme, of the values that the map holds; None where no name says anything (as ``Class 1``).

    Raises:
        LabelError: names do not tell changed from unchanged; they are quoted.
    """
    used = [float(value) for value in values]
    named = {value: names[value] for value in used if value in names and not is_bare(names[value])}
    if not named:
        return None
    told = {value: meaning_of(each) for value, each in named.items()}
    habit = scheme_by_numbers(values)
    if len(named) < len(used) and habit is not None:  # the others mean what they do by habit, if these do, too
        usual = _codes(habit, used)
        if all(usual[value] == code for value, code in told.items()):
            return habit
    # "Background" beside "changed" alone may be what nobody labelled, or what did not change.
    kinds = {meaning_of(each) for each in names.values()}
    unclear = UNLABELLED in told.values() and not {CHANGED, UNCHANGED} <= kinds
    if len(named) < len(used) or None in told.values() or unclear:
        quoted = ", ".join(f"{v:g} {names.get(v, 'without a name')!r}" for v in used[:_SHOWN])
        raise LabelError(
            f"{name}: its class names say {quoted}, which does not tell changed, unchanged and unlabelled apart: "
            f"{remedy}"
        )
    by_code = {
        code: tuple(_whole(value) for value in used if told[value] == code)
        for code in (UNCHANGED, CHANGED, UNLABELLED)
    }
    scheme = LabelScheme(by_code[UNCHANGED], by_code[CHANGED], by_code[UNLABELLED])
    if habit is None or _codes(habit, used) != told:
        _log.info("%s is read as its class names say: %s", name, scheme.describe())
    return scheme


def scheme_by_kinds(values: NDArray[np.generic], names: Mapping[float, str]) -> LabelScheme | None:
    """The label scheme of a map that is said to tell kinds of change apart; None where it is none.

    Args:
        values: the distinct values that the map holds.
        names: class name by value.

    Returns:
        Unchanged is the value whose name says so, else 0; what a name calls unlabelled is, and 255 without a name;
        every other value is a kind of change. None where the values are no such numbers, mean something else by
        habit, or do not tell which is unchanged.
    """
    used = [float(value) for value in values]
    if any(value != int(value) or not 0 <= value <= UNLABELLED for value in used):
        return None
    told = {value: meaning_of(names[value]) for value in used if not is_bare(names.get(value, ""))}
    unchanged = [value for value in used if told.get(value) == UNCHANGED] or [v for v in used if v == 0]
    ignored = [v for v in used if told.get(v) == UNLABELLED or (v == UNLABELLED and v not in told)]
    changed = [value for value in used if value not in (*unchanged, *ignored)]
    if not unchanged or len(changed) < 2 or (not told and scheme_by_numbers(values) is not None):
        return None
    return LabelScheme(*(tuple(map(int, each)) for each in (unchanged, changed, ignored)))


def codes_by_colours(
    values: NDArray[np.generic], legend: Legend, *, name: str, remedy: str = DECLARE
) -> dict[float, int] | None:
    """What values mean as they are shown: white is changed and black unchanged.

    Args:
        values: the distinct values that the map holds.
        legend: its colours.
        name: what messages call the map.
        remedy: what to do, for messages.

    Returns:
        UNCHANGED or CHANGED by value, where this is not what the numbers mean by habit; else None.

    Raises:
        LabelError: the colours contradict the numbers, and do not say clearly what is meant; they are quoted.
    """
    used = [float(value) for value in values]
    colours = {value: legend.colours[value] for value in used if value in legend.colours}
    habit = scheme_by_numbers(values)
    if habit is not None and not _contradicts(_codes(habit, used), colours):
        return None
    grey = {value: colour[0] for value, colour in colours.items() if not _is_coloured(colour)}
    shades = sorted(set(grey.values()))
    clear = len(shades) == 2 and ((shades[0] < _DARK and shades[1] >= _BRIGHT) or legend.white_is_zero)
    shown = ", ".join(f"{v:g} {_in_words(colours[v])}" for v in used[:_SHOWN] if v in colours)
    if clear and len(grey) == len(used):
        _log.warning(
            "%s is read as it is shown, bright is changed and dark unchanged (%s): %s if it is not so",
            name,
            shown,
            remedy,
        )
        return {value: CHANGED if shade == shades[1] else UNCHANGED for value, shade in grey.items()}
    if habit is None:
        return None  # the numbers say nothing that could be contradicted
    how = "WhiteIsZero" if legend.white_is_zero else "its palette"
    raise LabelError(
        f"{name}: by its numbers it is {habit.describe()}, but it shows ({how}) {shown}, which speaks against it: "
        f"{remedy}"
    )


def check_unsmeared(values: NDArray[np.generic], legend: Legend, *, name: str) -> None:
    """Refuse classes that went through a compression that changes values.

    Args:
        values: the values that the map holds.
        legend: what the file says of its compression.
        name: what messages call the map.

    Raises:
        LabelError: they may have been smeared into one another; classes that stayed far apart were not.
    """
    if not legend.lossy:
        return
    values = np.unique(values)
    if len(values) < 2 or np.diff(values.astype(np.float64)).min() >= _APART:
        return
    listed = ", ".join(f"{float(value):g}" for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    raise LabelError(
        f"{name} is {legend.lossy}-compressed, which smears the values of classes (it holds {listed}{more}): save "
        "the label map again from its source without loss, as PNG, or as GeoTIFF with DEFLATE"
    )


def _codes(scheme: LabelScheme, values: list[float]) -> dict[float, int]:
    known = {float(v): UNCHANGED for v in scheme.unchanged} | {float(v): CHANGED for v in scheme.changed}
    return {value: known.get(value, UNLABELLED) for value in values}


def _contradicts(codes: Mapping[float, int], colours: Mapping[float, Colour]) -> bool:
    """Whether what is shown speaks against what the numbers mean."""
    changed = [colours[value] for value, code in codes.items() if code == CHANGED and value in colours]
    unchanged = [colours[value] for value, code in codes.items() if code == UNCHANGED and value in colours]
    if not changed or not unchanged:
        return False
    marked = {_is_coloured(colour) for colour in changed}, {_is_coloured(colour) for colour in unchanged}
    if marked == ({False}, {False}):
        return min(colour[0] for colour in changed) < max(colour[0] for colour in unchanged)
    if marked == ({False}, {True}):  # what is coloured is what is marked
        return True
    return marked == ({True}, {True}) and all(map(_is_green, changed)) and all(map(_is_red, unchanged))


def _is_coloured(colour: Colour) -> bool:
    return max(colour[:3]) - min(colour[:3]) >= _COLOURED


def _is_red(colour: Colour) -> bool:
    return colour[0] - max(colour[1:3]) >= _COLOURED


def _is_green(colour: Colour) -> bool:
    return colour[1] - max(colour[0], colour[2]) >= _COLOURED


def _in_words(colour: Colour) -> str:
    red, green, blue = colour[:3]
    if not _is_coloured(colour):
        return "black" if red < _DARK else "white" if red == 255 else f"grey {red}"
    if _is_red(colour):
        return "red"
    return "green" if _is_green(colour) else f"colour {red}/{green}/{blue}"


def _whole(value: float) -> int:
    if value != int(value):  # pragma: no cover - a table of fractions; named nowhere
        raise LabelError(f"the class value {value:g} is no whole number")
    return int(value)
