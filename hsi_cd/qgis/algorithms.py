"""The algorithms: which command each runs, what its dialog asks, and what becomes of the answers.

An algorithm is one entry of :data:`ALGORITHMS`; nothing else names it. Its parameters are those options of the
command that an analyst needs, under the command line's words; any other goes into *Further options*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .told_numbers import CALLED_CHANGED, ESTIMATES, SCORES, Number

STAND_IN = "_FOLDER"
"""Ends the name of a folder that counts in place of a file: of ``T1_FOLDER`` that is ``T1``."""


@dataclass(frozen=True)
class Parameter:
    """One field of a dialog.

    Attributes:
        name: in scripts, as ``T1``.
        kind: what it holds, and so how QGIS asks for it: ``date`` (a raster layer, a file or a folder), ``map``,
            ``labels`` (several layers), ``points``, ``mask``, ``polygons``, ``extent``, ``file``, ``folder``,
            ``choice``, ``text``, ``switch``, ``number``, ``whole``, ``further``; or what is written: ``raster``,
            ``vector``, ``page`` (what was said), ``html``, ``json``, ``csv``, ``run`` (a folder).
        title: in the dialog.
        option: of the command, as ``--t1``; empty for an argument without one.
        default: what it holds at first.
        choices: values of a choice; the ending of a file, as ``pt``.
        limits: lowest and highest number, either None for none.
        needed: whether it must be filled in.
        advanced: whether it is folded away at first.
    """

    name: str
    kind: str
    title: str
    option: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    limits: tuple[float | None, float | None] = (None, None)
    needed: bool = False
    advanced: bool = False


@dataclass(frozen=True)
class Algorithm:
    """One algorithm of the toolbox.

    Attributes:
        command: of ``hsi-cd``; its name in scripts, too.
        title: in the toolbox.
        group: of the toolbox, as ``hsi-cd --help`` groups its commands.
        about: what it does, for the dialog.
        parameters: its fields, in the dialog's order.
        always: words that every run has.
        leaves: layers that are left in the folder of a ``run``: output, file, title.
        numbers: outputs for models, told by the file of a ``json``, else by what is said.
    """

    command: str
    title: str
    group: str
    about: str
    parameters: tuple[Parameter, ...]
    always: tuple[str, ...] = ("--overwrite",)
    leaves: tuple[tuple[str, str, str], ...] = ()
    numbers: tuple[Number, ...] = ()

    def of_kind(self, *kinds: str) -> list[Parameter]:
        """The parameters of these kinds."""
        return [each for each in self.parameters if each.kind in kinds]

    def stand_ins(self) -> dict[str, str]:
        """The names of folders that count in place of a file, and of what each stands in for."""
        return {each.name: each.name[: -len(STAND_IN)] for each in self.parameters if each.name.endswith(STAND_IN)}


LABEL_FREE = ("auto", "cva", "pca-cva", "sam", "irmad", "sfa", "isfa", "celik", "superpixel", "self-trained")
LEARNING = ("siamese", "svm", "forest", "logistic")
LARGEST = 2**31 - 1
"""A whole number that QGIS's fields hold: one with a higher limit takes no number at all."""

T1 = Parameter("T1", "date", "Earlier date (t1)", "--t1", needed=True)
T2 = Parameter("T2", "date", "Later date (t2)", "--t2", needed=True)
FOLDERS = (
    Parameter("T1_FOLDER", "folder", "Earlier date as a folder: counts in place of the one above", advanced=True),
    Parameter("T2_FOLDER", "folder", "Later date as a folder: counts in place of the one above", advanced=True),
)
"""A file dialog picks no folder: these two stand in for the dates."""
KINDS = (
    Parameter("KINDS", "text", "Kinds of change (kinds): how many, or auto; empty for none", "--kinds"),
    Parameter("LIBRARY", "file", "Spectral library (library), to say what kinds are from and to", "--library"),
    Parameter(
        "LIBRARY_FOLDER", "folder", "Spectral library as a folder: counts in place of the file", advanced=True
    ),
)
KINDS_TABLE = Parameter("KINDS_TABLE", "csv", "Table of the kinds of change", "--kinds-table")
MASKS = (
    Parameter("MASK", "text", "Left out (mask): auto, none, or kinds as cloud,shadow", "--mask", "auto"),
    Parameter("MASK_LAYER", "mask", "Left out, too: a raster (what is not 0) or polygons", "--mask"),
)
AREA = (
    Parameter("AOI", "polygons", "Area of interest (aoi): polygons", "--aoi"),
    Parameter("BOUNDS", "extent", "Or a rectangle in place of polygons (bounds)", "--bounds"),
)
REGISTER = Parameter("REGISTER", "switch", "Lay t2 on t1 first (register)", "--register", False)
SEED = Parameter("SEED", "whole", "Seed", "--seed", 0, limits=(0, LARGEST), advanced=True)
FURTHER = Parameter("OPTIONS", "further", "Further options, as on the command line", default="", advanced=True)
MAP = Parameter("OUTPUT", "raster", "Change map", "--output", needed=True)
SCORE = Parameter("SCORE", "raster", "Scores", "--score")
PROBABILITY = Parameter("PROBABILITY", "raster", "Probability of change", "--probability")
REGIONS = (
    Parameter("VECTOR", "vector", "Changed regions", "--vector"),
    Parameter(
        "MIN_AREA", "number", "Smallest region (min-area), m2", "--min-area", limits=(0, None), advanced=True
    ),
    Parameter("SIEVE", "whole", "Smallest region (sieve), pixels", "--sieve", limits=(1, None), advanced=True),
    Parameter(
        "SIMPLIFY", "number", "Smooth outlines (simplify), m", "--simplify", limits=(0, None), advanced=True
    ),
)
LABELS = Parameter("TRUTH", "labels", "Labels (truth): drawn shapes, or a truth map", "--truth", needed=True)
FIELD = Parameter("FIELD", "text", "Field that tells the class, if several could", "--field", advanced=True)
JSON = Parameter("JSON", "json", "Numbers as JSON", "--json")

ALGORITHMS = (
    Algorithm(
        "info",
        "Inspect",
        "Look",
        "Say what is in a file: bands, wavelengths, range, gaps, masks, place. With two dates, say whether they "
        "fit, fit after register, or do not fit, because of what.",
        (
            Parameter("T1", "date", "Date, map, or another file", needed=True),
            Parameter("T2", "date", "Later date, to compare"),
            MASKS[0],
            *AREA,
            *FOLDERS,
            FURTHER,
            Parameter("OUTPUT", "page", "What the files hold"),
        ),
        always=(),
    ),
    Algorithm(
        "register",
        "Register",
        "Map",
        "Lay the later date on the earlier one: measure the shift between them on tiles, to some hundredths of a "
        "pixel, and undo it, up to 64 pixels. A turn or a scale is refused with its size.",
        (
            Parameter("T1", "date", "Earlier date (t1)", needed=True),
            Parameter("T2", "date", "Later date (t2)", needed=True),
            *MASKS,
            *FOLDERS,
            FURTHER,
            Parameter("OUTPUT", "raster", "t2 on t1's grid", "--output", needed=True),
        ),
    ),
    Algorithm(
        "detect",
        "Detect change",
        "Map",
        "Map what changed between two dates, without any label or training. The map holds 0 unchanged, 1 changed "
        "(or 1 to K, kinds of change by how it changed, the largest first), 255 no data. Dates are raster layers, "
        "or products as archives deliver them (any file, zip, folder).",
        (
            T1,
            T2,
            Parameter("METHOD", "choice", "Method", "--method", "auto", LABEL_FREE),
            *KINDS,
            *MASKS,
            *AREA,
            REGISTER,
            *FOLDERS,
            SEED,
            *REGIONS[1:],
            FURTHER,
            MAP,
            SCORE,
            PROBABILITY,
            REGIONS[0],
            KINDS_TABLE,
        ),
        always=("--overwrite", "--json"),
        numbers=CALLED_CHANGED,
    ),
    Algorithm(
        "predict",
        "Map with a trained model",
        "Map",
        "Map two dates with a model that was trained before: best.pt of its folder. No labels are read. Register "
        "is done where the model's own dates were registered, or where it is asked for.",
        (
            Parameter("CHECKPOINT", "file", "Model (checkpoint)", "--checkpoint", choices=("pt",), needed=True),
            T1,
            T2,
            Parameter("THRESHOLD", "number", "Score from which a pixel is changed (threshold)", "--threshold"),
            *MASKS,
            *AREA,
            REGISTER,
            *FOLDERS,
            *REGIONS[1:],
            FURTHER,
            MAP,
            SCORE,
            PROBABILITY,
            REGIONS[0],
        ),
        always=("--overwrite", "--json"),
        numbers=CALLED_CHANGED,
    ),
    Algorithm(
        "train",
        "Train from drawn labels",
        "Learn",
        "Learn from shapes with a field that says changed or unchanged, map the scene, and judge the map by "
        "shapes left out in turn. The folder holds the maps, the model (best.pt), scores and a figure. Go on "
        "from an earlier run of the scene after more was drawn; --resume among the further options goes on with "
        "one that was cancelled.",
        (
            T1,
            T2,
            LABELS,
            Parameter("METHOD", "choice", "Method", "--method", "siamese", LEARNING),
            Parameter(
                "SHARE", "number", "Share of the scene that changed, if known (share)", "--share", limits=(0, 1)
            ),
            Parameter("START_FROM", "folder", "Go on from this run (start-from)", "--start-from"),
            *MASKS,
            *AREA,
            REGISTER,
            FIELD,
            *FOLDERS,
            SEED,
            FURTHER,
            Parameter("RUN", "run", "Folder of the run", "--run", needed=True),
        ),
        always=(),
        leaves=(("CHANGE", "change.tif", "Change map"), ("SCORE", "score.tif", "Probability of change")),
    ),
    Algorithm(
        "suggest",
        "Suggest labels",
        "Learn",
        "Say where to draw next: places whose labels would teach most. Fill in the field class of each with "
        "changed or unchanged, and train with both layers, going on from the run.",
        (
            Parameter("RUN", "folder", "Folder of the run", needed=True),
            Parameter("NUMBER", "whole", "Number of places", "--number", 20, limits=(1, None)),
            Parameter("KIND", "choice", "Kind", "--kind", "squares", ("squares", "points")),
            *AREA,
            SEED,
            FURTHER,
            Parameter("OUTPUT", "vector", "Places to label", "--output", needed=True),
        ),
    ),
    Algorithm(
        "evaluate",
        "Judge a map",
        "Judge",
        "Score a change map against labels that did not teach it. For a map of a training, name the run's "
        "split.npz: the pixels that taught judge nothing.",
        (
            Parameter("MAP", "map", "Change map", needed=True),
            LABELS,
            Parameter("EXCLUDE", "file", "Pixels that taught (exclude): split.npz", "--exclude", choices=("npz",)),
            *AREA,
            FIELD,
            FURTHER,
            Parameter("OUTPUT", "page", "Scores of a map"),
            JSON,
        ),
        numbers=SCORES,
    ),
    Algorithm(
        "sample",
        "Draw a reference sample",
        "Judge",
        "Draw random points of each class of a change map. Look at both dates, and fill in the field reference of "
        "each with changed or unchanged, whatever the map says there; then Area of change tells how much changed. "
        "A page with both dates around each point needs the dates.",
        (
            Parameter("MAP", "map", "Change map", needed=True),
            Parameter("PER_STRATUM", "whole", "Points of each class", "--per-stratum", 50, limits=(2, None)),
            Parameter("TOTAL", "whole", "Points of all classes (total)", "--total", limits=(4, None)),
            Parameter(
                "STANDARD_ERROR",
                "number",
                "As many as give this standard error",
                "--standard-error",
                advanced=True,
            ),
            Parameter("T1", "date", "Earlier date (t1), for the page", "--t1"),
            Parameter("T2", "date", "Later date (t2), for the page", "--t2"),
            *FOLDERS,
            SEED,
            FURTHER,
            Parameter("OUTPUT", "vector", "Points to interpret", "--output", needed=True),
            Parameter("HTML", "html", "Page of the points", "--html"),
        ),
    ),
    Algorithm(
        "area",
        "Area of change",
        "Judge",
        "Tell how much changed, and how good the map is, each with its 95 % interval, from a sample of the map "
        "that was interpreted.",
        (
            Parameter("MAP", "map", "Change map", needed=True),
            Parameter("SAMPLE", "points", "Interpreted sample of this map", "--sample", needed=True),
            Parameter(
                "FIELD", "text", "Field that tells the class, if it is not reference", "--field", advanced=True
            ),
            FURTHER,
            Parameter("OUTPUT", "page", "Areas and accuracies"),
            JSON,
        ),
        numbers=ESTIMATES,
    ),
    Algorithm(
        "report",
        "Report of a map",
        "Show",
        "Make one page to look at and to pass on, for any browser: the map and its areas, how it was made, and, "
        "where they are named, both dates with their masks, shift and warnings, scores and probabilities.",
        (
            Parameter("MAP", "map", "Change map", needed=True),
            Parameter("T1", "date", "Earlier date (t1)", "--t1"),
            Parameter("T2", "date", "Later date (t2)", "--t2"),
            Parameter("PROBABILITY", "map", "Probability of change", "--probability"),
            Parameter("SCORE", "map", "Scores", "--score"),
            Parameter("TITLE", "text", "Title of the page", "--title"),
            *MASKS,
            REGISTER,
            *FOLDERS,
            Parameter("MAP_FOLDER", "folder", "Folder of a run: counts in place of the map", advanced=True),
            FURTHER,
            Parameter("OUTPUT", "html", "Report of a map", "--output", needed=True),
        ),
    ),
)
"""All algorithms, in the order of the toolbox; a command that should be there, too, is one entry more."""
