"""How rows and columns of a table are called, and in which order they stand, as somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hsi_cd.errors import ConfigError, unknown_name
from hsi_cd.evaluation import RunResult
from hsi_cd.reporting.comparison import told_apart


def as_asked(
    results: Sequence[RunResult], *, names: Mapping[str, str] | None = None, order: Sequence[str] = ()
) -> list[RunResult]:
    """Results under other names and in another order.

    Args:
        results: the results.
        names: what methods and datasets are to be called, by the names that the runs have.
        order: methods and datasets, by the names that the runs have, in the order in which they are to stand;
            those that are not named follow in their own.

    Raises:
        UnknownNameError: no run is of a method or dataset of such a name.
        ConfigError: two of them would be called the same.
    """
    names = names or {}
    results = told_apart(results)
    methods = list(dict.fromkeys(result.method for result in results))
    datasets = list(dict.fromkeys(result.dataset for result in results))
    for name in (*names, *order):
        if name not in (*methods, *datasets):
            raise unknown_name("method or dataset of these runs", name, [*methods, *datasets])
    for there in (methods, datasets):
        called: dict[str, str] = {}
        for name in there:
            twin = called.setdefault(names.get(name, name), name)
            if twin != name:
                raise ConfigError(
                    f"{twin} and {name} would both be called {names.get(name, name)}: call them differently"
                )
    place = {name: i for i, name in enumerate(dict.fromkeys(order))}
    last = len(place)
    results.sort(key=lambda result: (place.get(result.method, last), place.get(result.dataset, last)))
    return [
        replace(
            result,
            method=names.get(result.method, result.method),
            dataset=names.get(result.dataset, result.dataset),
        )
        for result in results
    ]
