"""Which kind of change a field of points tells, by the names that a map has of its classes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.class_fields import UNSAID, counted, field_called
from hsi_cd.io.class_names import ClassNames, known_as, text_of_value
from hsi_cd.io.told_classes import meaning_of_answer
from hsi_cd.io.vector_files import ShapeTable
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED


def kinds_of(
    table: ShapeTable, classes: Mapping[int, str], said: ClassNames | None = None, *, field: str
) -> NDArray[np.int16]:
    """The class that each feature tells.

    A class is told by its name, whatever its letters' case, or by its code; 0 also by the words that mean
    unchanged, and no class by those that mean unlabelled.

    Args:
        table: features with their fields.
        classes: names by code, 0 unchanged.
        said: further words of unchanged features, and of those to be left out.
        field: the field that tells the class.

    Returns:
        Codes, UNLABELLED or :data:`~hsi_cd.io.class_fields.UNSAID`, int16 ``(features,)``.

    Raises:
        LabelError: there is no such field, or a value is no class; they are listed, and what they look like.
    """
    keys = [text_of_value(value) for value in table.fields[field_called(field, table)]]
    codes = {str(code): code for code in classes} | {known_as(name): code for code, name in classes.items()}
    if said is not None:
        others = {known_as(word): UNCHANGED for word in said.unchanged}
        codes = others | dict.fromkeys(map(known_as, said.ignore), UNLABELLED) | codes

    def code_of(key: str) -> int | None:
        known = codes.get(known_as(key))
        meaning = meaning_of_answer(key) if known is None else None
        return known if meaning in (None, CHANGED) else meaning  # changed, but which kind?

    found = {key: code_of(key) for key in keys if key is not None}
    strange = Counter(key for key in keys if key is not None and found[key] is None)
    if strange:
        near = difflib.get_close_matches(known_as(next(iter(strange))), [known_as(n) for n in classes.values()], 1)
        meant = f"; is {near[0]!r} meant?" if near else ""
        raise LabelError(
            f"{table.name}: the classes {counted(strange)} are not understood: expected "
            f"{', '.join(classes.values())}, as the map calls them{meant}"
        )
    return np.array([UNSAID if key is None else found[key] for key in keys], dtype=np.int16)
