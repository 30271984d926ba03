"""Options that name a truth map, and say what its values mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.api.sources import TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.errors import HsiCdError

if TYPE_CHECKING:
    from hsi_cd.io.class_names import ClassNames
    from hsi_cd.scene import LabelScheme


def _truth(
    align: bool,
    truth: tuple[Path, ...],
    truth_key: str | None,
    layer: str | None,
    field: str | None,
    changed: str | None,
    unchanged: str | None,
    ignore: str | None,
    names: Path | None = None,
) -> TruthSource:
    scheme = label_scheme(changed, unchanged, ignore)
    return TruthSource(truth or None, truth_key, scheme, layer, field, align=align, names=names)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--truth",
        type=PathType(),
        metavar="FILE",
        multiple=True,
        help="Truth map (MATLAB or image), or labels drawn in a GIS (GeoPackage, GeoJSON, Shapefile, FlatGeobuf, "
        "KML). Two maps are masks, of changed, then of unchanged pixels; drawn labels all count.",
    ),
    click.option("--truth-key", metavar="NAME", help="Variable of the truth map in a MATLAB file."),
    click.option("--layer", metavar="NAME", help="Layer of drawn labels, where a file has several."),
    click.option("--field", metavar="NAME", help="Field of drawn labels that tells the class, if several could."),
    click.option(
        "--changed", metavar="VALUES", help="Values that mean changed, as 1,2,3; of drawn labels also names."
    ),
    click.option("--unchanged", metavar="VALUES", help="Values, or names, that mean unchanged."),
    click.option("--ignore", metavar="VALUES", help="Values, or names, that are unlabelled; NaN always is."),
    click.option(
        "--names",
        type=PathType(),
        metavar="FILE",
        help="What kinds of change are called: a CSV with the columns value,name [default: as the truth says].",
    ),
)

truth_options = gathering("truth", partial(_truth, False), *_OPTIONS)
"""Name a truth map, or drawn labels; the command is handed it as ``truth``."""

aligned_truth_options = gathering(
    "truth",
    _truth,
    *_OPTIONS,
    click.option(
        "--align",
        is_flag=True,
        help="Bring a truth map of another grid onto this one; each pixel takes the class at its centre.",
    ),
)
"""The same for commands without two dates, whose own ``--align`` concerns the truth map, too."""


def label_scheme(
    changed: str | None, unchanged: str | None, ignore: str | None
) -> LabelScheme | ClassNames | None:
    """The scheme that ``--changed``, ``--unchanged`` and ``--ignore`` declare; None where none is given.

    Raises:
        click.UsageError: one of the classes is not declared.
        LabelError: a value is declared twice.
    """
    # NaN is unlabelled whatever is said.
    ignored = [part for part in (ignore or "").split(",") if part.strip().lower() != "nan"]
    given = {"--changed": changed, "--unchanged": unchanged, "--ignore": ",".join(ignored)}
    if changed is None and unchanged is None and (ignore is None or not ignored):
        return None
    for name in ("--changed", "--unchanged"):
        if not given[name]:
            raise click.UsageError(
                f"{name} is missing: declare both classes, as --changed 2 --unchanged 1 --ignore 0"
            )
    said = {
        name: tuple(part.strip() for part in (text or "").split(",") if part.strip())
        for name, text in given.items()
    }
    from hsi_cd.io.class_names import ClassNames
    from hsi_cd.scene import LabelScheme

    order = ("--unchanged", "--changed", "--ignore")
    try:
        return LabelScheme(*(tuple(int(part) for part in said[name]) for name in order))
    except ValueError as error:
        if isinstance(error, HsiCdError):
            raise
        return ClassNames(*(said[name] for name in order))


def truth_inputs(truth: TruthSource, dataset: str | None, data_root: Path) -> list[Path]:
    """The files of a truth map: those that are named, or those of a benchmark scene.

    Raises:
        UnknownNameError: there is no such scene.
    """
    if dataset is None:
        return [Path(path) for path in truth.source or ()]
    from hsi_cd.api.benchmarks import dataset_files

    return list(dataset_files(dataset, data_root))


def check_truth(truth: TruthSource, dataset: str | None) -> None:
    """Refuse anything but the truth of a dataset, a map, two masks, or drawn labels.

    Raises:
        click.UsageError: with what to give.
    """
    files = truth.source or ()
    if dataset is not None and files:
        raise click.UsageError(
            "--dataset brings its own truth map: leave --truth out, or name the scene by --t1 and --t2"
        )
    from hsi_cd.api.truths import has_shapes

    drawn = bool(files) and has_shapes(truth)
    if truth.scheme is not None and (dataset is not None or (len(files) > 1 and not drawn)):
        what = "a dataset of the catalogue" if dataset is not None else "a pair of masks"
        raise click.UsageError(f"{what} has its own label values: leave --changed, --unchanged and --ignore out")
    if dataset is None and not files:
        raise click.UsageError("no truth map is named: give --truth FILE, or --dataset NAME")
    if len(files) > 2 and not drawn:
        raise click.UsageError(
            f"--truth is given {len(files)} times: give one map, two masks (changed, unchanged), or drawn labels"
        )
