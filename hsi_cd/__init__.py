"""hsi-cd: hyperspectral change detection, from two cubes to a georeferenced change map and its scores.

Start here::

    import hsi_cd as hc

    pair = hc.open_pair("before.tif", "after.tif")      # files, arrays (bands, rows, cols), xarray, rasterio
    pair = hc.open_pair(t1, t2, align=True)             # t2 is brought onto the grid of t1
    labels = hc.open_labels("truth.tif")                # or open_labels(array, changed=2, unchanged=1, ignore=0)
    pair, labels = hc.open_dataset("taizhou", root="data")
    pair.t1.read(slice(0, 100), slice(0, 100))          # float32 (bands, rows, cols), NaN where there is no data

Next: ``help(hc.open_pair)`` for what may be opened and how, ``dir(hc)`` for all names, and ``hsi-cd --help`` in a
terminal. Errors are :class:`hsi_cd.errors.HsiCdError` and the builtin that one would expect (ValueError, OSError).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # for type checkers and editors; at run time each name is imported when it is first used
    from hsi_cd import errors
    from hsi_cd.api.opening import open_dataset, open_labels, open_pair
    from hsi_cd.scene import Cube, Grid, Labels, ScenePair

_PLACES = {
    "Cube": "hsi_cd.scene",
    "Grid": "hsi_cd.scene",
    "Labels": "hsi_cd.scene",
    "ScenePair": "hsi_cd.scene",
    "errors": "hsi_cd.errors",
    "open_dataset": "hsi_cd.api.opening",
    "open_labels": "hsi_cd.api.opening",
    "open_pair": "hsi_cd.api.opening",
}
"""Where each public name lives; its module is imported when the name is first used."""

__all__ = ["Cube", "Grid", "Labels", "ScenePair", "errors", "open_dataset", "open_labels", "open_pair"]


if not TYPE_CHECKING:  # or a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        """A public name, imported now."""
        if name not in _PLACES:
            raise AttributeError(f"module 'hsi_cd' has no attribute {name!r}: its names are {', '.join(__all__)}")
        module = importlib.import_module(_PLACES[name])
        value = module if _PLACES[name] == f"hsi_cd.{name}" else getattr(module, name)
        globals()[name] = value  # the next use finds it at once
        return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
