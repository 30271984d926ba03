"""What methods and datasets are called in a table, as somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hsi_cd.errors import ConfigError, unknown_name
from hsi_cd.evaluation import RunResult
from hsi_cd.reporting.comparison import told_apart


def as_asked(
    results: Sequence[RunResult], *, names: Mapping[str, str] | None = None, order: Sequence[str] = ()
) -> tuple[list[RunResult], tuple[str, ...]]:
    """Results under other names, and an order of methods and datasets in these.

    Args:
        results: the results.
        names: what methods and datasets are to be called, by the names that the runs have.
        order: methods and datasets, by the names that the runs have.

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
    called_so = [
        replace(
            result,
            method=names.get(result.method, result.method),
            dataset=names.get(result.dataset, result.dataset),
        )
        for result in results
    ]
    return called_so, tuple(dict.fromkeys(names.get(name, name) for name in order))
