"""Options that name a truth map, and say what its values mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.api.sources import TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType

if TYPE_CHECKING:
    from hsi_cd.scene import LabelScheme


def _truth(
    truth: tuple[Path, ...],
    truth_key: str | None,
    changed: str | None,
    unchanged: str | None,
    ignore: str | None,
) -> TruthSource:
    return TruthSource(truth or None, truth_key, label_scheme(changed, unchanged, ignore))


truth_options = gathering(
    "truth",
    _truth,
    click.option(
        "--truth",
        type=PathType(),
        metavar="FILE",
        multiple=True,
        help="Truth map (MATLAB or image). Given twice: the masks of changed, then of unchanged pixels.",
    ),
    click.option("--truth-key", metavar="NAME", help="Variable of the truth map in a MATLAB file."),
    click.option("--changed", metavar="VALUES", help="Values of the truth map that mean changed, as 1,2,3."),
    click.option("--unchanged", metavar="VALUES", help="Values of the truth map that mean unchanged."),
    click.option("--ignore", metavar="VALUES", help="Values of the truth map that are unlabelled; NaN always is."),
)
"""Name a truth map; the command is handed it as ``truth``."""


def label_scheme(changed: str | None, unchanged: str | None, ignore: str | None) -> LabelScheme | None:
    """The scheme that ``--changed``, ``--unchanged`` and ``--ignore`` declare; None where none is given.

    Raises:
        click.UsageError: a value is no whole number, or one of the classes is not declared.
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
    values: dict[str, tuple[int, ...]] = {}
    for name, text in given.items():
        try:
            values[name] = tuple(int(part) for part in (text or "").split(",") if part.strip())
        except ValueError:
            raise click.UsageError(f"{name} is {text!r}: give whole numbers, as {name} 1,2,3") from None
    from hsi_cd.scene import LabelScheme

    return LabelScheme(values["--unchanged"], values["--changed"], values["--ignore"])


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
    """Refuse anything but the truth of a dataset, a map, or two masks.

    Raises:
        click.UsageError: with what to give.
    """
    files = truth.source or ()
    if dataset is not None and files:
        raise click.UsageError(
            "--dataset brings its own truth map: leave --truth out, or name the scene by --t1 and --t2"
        )
    if truth.scheme is not None and (dataset is not None or len(files) > 1):
        what = "a dataset of the catalogue" if dataset is not None else "a pair of masks"
        raise click.UsageError(f"{what} has its own label values: leave --changed, --unchanged and --ignore out")
    if dataset is None and not files:
        raise click.UsageError("no truth map is named: give --truth FILE, or --dataset NAME")
    if len(files) > 2:
        raise click.UsageError(
            f"--truth is given {len(files)} times: give one map, or two masks (changed, unchanged)"
        )
