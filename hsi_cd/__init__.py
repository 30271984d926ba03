"""hsi-cd: hyperspectral change detection, from two cubes to a georeferenced change map and its scores.

Start here::

    import hsi_cd as hc

    pair = hc.open_pair("before.tif", "after.tif")     # files, arrays (bands, rows, cols), xarray, rasterio
    change = hc.detect(pair)                           # a map without any label; hc.methods() lists how
    change.write("change.tif", cog=True)               # .change, .probability, .grid, .to_xarray()

    labels = hc.open_labels("truth.tif")
    net = hc.Siamese(members=5, seed=0).fit(pair, labels)
    hc.evaluate(net.predict(pair), labels, exclude=net.split_)
    net.save("net.pt")                                 # hc.load("net.pt").predict(another_pair)
    hc.train(pair, labels, run="runs/mine")            # the same as a run folder: table, figure, report

Next: ``help(hc.open_pair)`` for what may be opened and how, ``dir(hc)`` for all names, and ``hsi-cd --help`` in a
terminal. Errors are :class:`hsi_cd.errors.HsiCdError` and the builtin that one would expect (ValueError, OSError).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # for type checkers and editors; at run time each name is imported when it is first used
    from hsi_cd import errors
    from hsi_cd.api.area_estimates import estimate_area
    from hsi_cd.api.area_samples import ReferenceSample, sample_map
    from hsi_cd.api.dated_scenes import DateSeries, open_series
    from hsi_cd.api.drawing import draw, write_labels
    from hsi_cd.api.estimators import (
        CVA,
        IRMAD,
        ISFA,
        PCACVA,
        SAM,
        SFA,
        SVM,
        Auto,
        Celik,
        Estimator,
        Forest,
        Logistic,
        SelfTrained,
        Siamese,
        Superpixel,
        load,
    )
    from hsi_cd.api.kinds_of_change import open_library
    from hsi_cd.api.many_dates import ChangeSeries, series
    from hsi_cd.api.map_report import report_map
    from hsi_cd.api.opening import open_dataset, open_labels, open_pair, open_split
    from hsi_cd.api.pairing import choose_bands
    from hsi_cd.api.registering import register
    from hsi_cd.api.scenes_training import ScenesResult, train_scenes
    from hsi_cd.api.suggesting import suggest
    from hsi_cd.api.suggestions import Suggestions
    from hsi_cd.api.verbs import (
        detect,
        evaluate,
        measure,
        methods,
        predict,
        split,
        train,
    )
    from hsi_cd.detectors.kind_clusters import KindOptions
    from hsi_cd.detectors.method import Method
    from hsi_cd.evaluation import AreaEstimate, RunResult
    from hsi_cd.inference.change_map import ChangeMap
    from hsi_cd.inference.mapping import MapOptions
    from hsi_cd.prepare.measurement import Measurement
    from hsi_cd.scene import Cube, Grid, Labels, ScenePair, Split
    from hsi_cd.scene.spectral_library import SpectralLibrary

_PLACES = {
    "AreaEstimate": "hsi_cd.evaluation",
    "Auto": "hsi_cd.api.estimators",
    "CVA": "hsi_cd.api.estimators",
    "Celik": "hsi_cd.api.estimators",
    "ChangeMap": "hsi_cd.inference.change_map",
    "ChangeSeries": "hsi_cd.api.many_dates",
    "Cube": "hsi_cd.scene",
    "DateSeries": "hsi_cd.api.dated_scenes",
    "Estimator": "hsi_cd.api.estimators",
    "Forest": "hsi_cd.api.estimators",
    "Grid": "hsi_cd.scene",
    "IRMAD": "hsi_cd.api.estimators",
    "ISFA": "hsi_cd.api.estimators",
    "KindOptions": "hsi_cd.detectors.kind_clusters",
    "Labels": "hsi_cd.scene",
    "Logistic": "hsi_cd.api.estimators",
    "MapOptions": "hsi_cd.inference.mapping",
    "Measurement": "hsi_cd.prepare.measurement",
    "Method": "hsi_cd.detectors.method",
    "PCACVA": "hsi_cd.api.estimators",
    "ReferenceSample": "hsi_cd.api.area_samples",
    "RunResult": "hsi_cd.evaluation",
    "SAM": "hsi_cd.api.estimators",
    "SFA": "hsi_cd.api.estimators",
    "SVM": "hsi_cd.api.estimators",
    "ScenePair": "hsi_cd.scene",
    "ScenesResult": "hsi_cd.api.scenes_training",
    "SelfTrained": "hsi_cd.api.estimators",
    "Siamese": "hsi_cd.api.estimators",
    "SpectralLibrary": "hsi_cd.scene.spectral_library",
    "Split": "hsi_cd.scene",
    "Suggestions": "hsi_cd.api.suggestions",
    "Superpixel": "hsi_cd.api.estimators",
    "choose_bands": "hsi_cd.api.pairing",
    "detect": "hsi_cd.api.verbs",
    "draw": "hsi_cd.api.drawing",
    "errors": "hsi_cd.errors",
    "estimate_area": "hsi_cd.api.area_estimates",
    "evaluate": "hsi_cd.api.verbs",
    "load": "hsi_cd.api.estimators",
    "measure": "hsi_cd.api.verbs",
    "methods": "hsi_cd.api.verbs",
    "open_dataset": "hsi_cd.api.opening",
    "open_labels": "hsi_cd.api.opening",
    "open_library": "hsi_cd.api.kinds_of_change",
    "open_pair": "hsi_cd.api.opening",
    "open_series": "hsi_cd.api.dated_scenes",
    "open_split": "hsi_cd.api.opening",
    "predict": "hsi_cd.api.verbs",
    "register": "hsi_cd.api.registering",
    "report_map": "hsi_cd.api.map_report",
    "sample_map": "hsi_cd.api.area_samples",
    "series": "hsi_cd.api.many_dates",
    "split": "hsi_cd.api.verbs",
    "suggest": "hsi_cd.api.suggesting",
    "train": "hsi_cd.api.verbs",
    "train_scenes": "hsi_cd.api.scenes_training",
    "write_labels": "hsi_cd.api.drawing",
}
"""Where each public name lives; its module is imported when the name is first used."""

__all__ = [
    "CVA",
    "IRMAD",
    "ISFA",
    "PCACVA",
    "SAM",
    "SFA",
    "SVM",
    "AreaEstimate",
    "Auto",
    "Celik",
    "ChangeMap",
    "ChangeSeries",
    "Cube",
    "DateSeries",
    "Estimator",
    "Forest",
    "Grid",
    "KindOptions",
    "Labels",
    "Logistic",
    "MapOptions",
    "Measurement",
    "Method",
    "ReferenceSample",
    "RunResult",
    "ScenePair",
    "ScenesResult",
    "SelfTrained",
    "Siamese",
    "SpectralLibrary",
    "Split",
    "Suggestions",
    "Superpixel",
    "choose_bands",
    "detect",
    "draw",
    "errors",
    "estimate_area",
    "evaluate",
    "load",
    "measure",
    "methods",
    "open_dataset",
    "open_labels",
    "open_library",
    "open_pair",
    "open_series",
    "open_split",
    "predict",
    "register",
    "report_map",
    "sample_map",
    "series",
    "split",
    "suggest",
    "train",
    "train_scenes",
    "write_labels",
]


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
