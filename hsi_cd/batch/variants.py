"""Combinations of settings, as an ablation compares them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hsi_cd.batch.pairs import NAME
from hsi_cd.config import parse_assignment, whole_key
from hsi_cd.errors import ConfigError
from hsi_cd.plugins import file_word


def cross(varied: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every combination of the values of some settings.

    Args:
        varied: each ``KEY=VALUE,VALUE,...``.

    Returns:
        Settings as ``KEY=VALUE`` by the combination's name: its values, with ``+`` between them. One combination
        without settings and name where nothing varies.

    Raises:
        ConfigError: a text is no such list, a key comes twice, or a value cannot name a folder.
    """
    lists: dict[str, list[str]] = {}
    for text in varied:
        key, equals, values = (part.strip() for part in text.partition("="))
        listed = list(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
        if not equals or not key or not listed:
            raise ConfigError(f"vary {text}: expected key=value,value,..., as train.loss=bce,focal")
        for value in listed:
            if not NAME.fullmatch(file_word(value)):
                raise ConfigError(
                    f"vary {text}: {value!r} would name a folder, and cannot; name it in the variants of a file "
                    "(hsi-cd batch)"
                )
            parse_assignment(f"{key}={value}")
        key = whole_key(key)
        if key in lists:
            raise ConfigError(f"vary {key} is given twice: list all its values in one")
        lists[key] = listed
    return {
        "+".join(map(file_word, values)): tuple(f"{key}={value}" for key, value in zip(lists, values, strict=True))
        for values in product(*lists.values())
    }
