"""``MATRIX.yaml``: the runs, or the predictions, that a batch is to do, read strictly."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hsi_cd.batch.jobs import ChosenMethod, Job, TrainJob, run_folder
from hsi_cd.batch.lines import Document, Place, read_document
from hsi_cd.batch.map_jobs import JoinJob, PredictJob
from hsi_cd.batch.pairs import NAME, find_pairs, read_pairs
from hsi_cd.config import parse_assignment, resolve
from hsi_cd.errors import ConfigError, HsiCdError
from hsi_cd.paths import as_path

Names = Callable[[str], str]
"""Turns a name, or an alias, into the right name; raises UnknownNameError."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) and not isinstance(value, bool) else value


Texts = Annotated[list[str], BeforeValidator(_listed)]
Value = Annotated[float, Field(strict=False, allow_inf_nan=False)]  # YAML takes 1e20 for text
Values = Annotated[list[Value], BeforeValidator(_listed)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Part = TypeVar("Part", bound=_Part)


class OwnScene(_Part):
    """A scene that is not in the catalogue: name, files, values of no data, further arguments of ``train``."""

    name: str
    t1: Texts
    t2: Texts
    truth: Texts
    nodata: Values = []
    arguments: Texts = []


class Predictions(_Part):
    """Scene pairs to map, each whole or in shards: a table of them, or a pattern of file names with dates."""

    checkpoint: str
    pairs: str | None = None
    pattern: str | None = None
    dates: Literal["consecutive", "ends"] = "consecutive"
    nodata: Values = []  # of every pair
    arguments: Texts = []
    shards: Annotated[int, Field(ge=1)] = 1  # processes that map parts of one pair
    join: Texts = []  # arguments of mosaic, which joins the parts


class MatrixFile(_Part):
    """The fields of a matrix."""

    folder: str | None = None
    data_root: str | None = None
    datasets: Annotated[list[Any], BeforeValidator(_listed)] = []  # names, and scenes of one's own
    methods: Texts = []
    seeds: Annotated[list[Any], BeforeValidator(_listed), Field(min_length=1)] = ["0-4"]  # numbers and ranges
    protocols: Annotated[Texts, Field(min_length=1)] = ["P1"]
    settings: dict[str, Any] = {}
    variants: dict[str, dict[str, Any]] = {}
    arguments: Texts = []
    predict: Predictions | None = None


@dataclass(frozen=True)
class Matrix:
    """What a batch is to do.

    Attributes:
        folder: the folder of all runs.
        jobs: the jobs, in the order in which they are started.
        places: where in the file each job's further arguments stand, for the one who checks them.
        reads: the files that say what is to be done: the matrix itself, and its table of pairs.
    """

    folder: Path
    jobs: tuple[Job, ...]
    places: Mapping[Job, str]
    reads: tuple[Path, ...] = ()


def read_matrix(
    path: Path, *, find_dataset: Names, find_method: Callable[[str], str | ChosenMethod], data_root: Path
) -> Matrix:
    """Read and expand a matrix; paths in it are relative to its own folder.

    Args:
        path: the YAML file.
        find_dataset: tells a scene's right name.
        find_method: tells a method's right name.
        data_root: folder of the catalogue's scenes, where the matrix names none.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: a field is unknown, missing or wrong; with its line.
    """
    document = read_document(path)
    file = _parse(MatrixFile, document.values, document, ())
    here = path.absolute().parent
    folder = here / (as_path(file.folder) if file.folder is not None else Path("runs") / path.stem)
    if file.predict is not None:
        if file.datasets or file.methods:
            other = "datasets" if file.datasets else "methods"
            raise ConfigError(f"{document.where('predict')} and {other} are both given: make two files of them")
        return _predictions(file.predict, document, folder)
    for field in ("datasets", "methods"):
        if not getattr(file, field):
            raise ConfigError(
                f"{document.where(field)} names nothing: give a list, as {field}: [{_EXAMPLES[field]}]; "
                "or predict: for scene pairs to map"
            )
    root = here / as_path(file.data_root) if file.data_root is not None else data_root
    return _runs(file, document, folder, root, find_dataset=find_dataset, find_method=find_method)


_EXAMPLES = {"datasets": "taizhou, rennes", "methods": "siamese, svm"}


def parse_seeds(text: str) -> tuple[int, ...]:
    """``0-4`` or ``0,3,7`` or both, as numbers, each once.

    Raises:
        ConfigError: a part is neither a number nor a range, or there is none.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            seeds += range(int(first), int(last) + 1) if dash else [int(first)]
        except (ValueError, OverflowError, MemoryError):
            raise ConfigError(f"{part!r} is neither a number nor a range, as 0-4") from None
    if not seeds:
        raise ConfigError(f"{text!r} names no seed: give 0-4 or 0,3,7")
    return tuple(dict.fromkeys(seeds))


def _runs(
    file: MatrixFile,
    document: Document,
    folder: Path,
    root: Path,
    *,
    find_dataset: Names,
    find_method: Callable[[str], str | ChosenMethod],
) -> Matrix:
    scenes = _scenes(file, document, find_dataset)
    found = _right_names("methods", file.methods, document, find_method)
    methods = [ChosenMethod(each) if isinstance(each, str) else each for each in found]
    seeds = _seeds(file, document)
    for i, protocol in enumerate(file.protocols):
        resolve([(document.where("protocols", i), {"split": {"protocol": protocol}})])
    # A part of another package has options of its own: which, the method or another setting says.
    brought = [(f"method {method.name}", json.loads(method.brings)) for method in methods if method.brings]
    shared = _assignments(file.settings, document, ("settings",), beside=brought)
    beside = [*brought, *(("settings", parse_assignment(text)) for text in shared)]
    variants = (
        {"": ()}
        if not file.variants
        else {
            _path_safe(name, document, ("variants", name)): _assignments(
                values, document, ("variants", name), beside=beside
            )
            for name, values in file.variants.items()
        }
    )
    jobs: dict[Job, str] = {}
    # Seed by seed, so that a matrix stopped half-way has something of everything.
    for seed in dict.fromkeys(seeds):
        for protocol in dict.fromkeys(file.protocols):
            for variant, changes in variants.items():
                for name, (files, where, arguments, own) in scenes.items():
                    for method in methods:
                        catalogue = () if files else ("--data-root", str(root))
                        job = TrainJob(
                            name,
                            method.name,
                            seed,
                            protocol,
                            run_folder(folder / variant, name, method.name, protocol, seed),
                            settings=(*shared, *changes, *own),
                            arguments=(*catalogue, *file.arguments, *arguments),
                            files=files,
                            variant=variant,
                            row=method.row,
                            brings=method.brings,
                        )
                        job.config()
                        jobs[job] = where
    return Matrix(folder, tuple(jobs), jobs, (document.path,))


_Scene = tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]


def _scenes(file: MatrixFile, document: Document, find_dataset: Names) -> dict[str, _Scene]:
    """By name: the arguments that name its files, where it stands, its further arguments and its own settings."""
    scenes: dict[str, _Scene] = {}
    here = document.path.absolute().parent
    for i, entry in enumerate(file.datasets):
        place: Place = ("datasets", i)
        if isinstance(entry, str):
            (name,) = _right_names("datasets", [entry], document, find_dataset, at=i)
            found: _Scene = ((), document.where("arguments"), (), ())
        elif not isinstance(entry, dict):
            raise ConfigError(
                f"{document.where(*place)} is {entry!r}: give a name, or name, t1, t2 and truth of your own scene"
            )
        else:
            own = _parse(OwnScene, entry, document, place)
            name = _path_safe(own.name, document, (*place, "name"))
            words = [
                word
                for option in ("t1", "t2", "truth")
                for path in getattr(own, option)
                for word in (f"--{option}", str(here / as_path(path)))
            ]
            said = (f"nodata={json.dumps(own.nodata)}",) if own.nodata else ()
            found = (tuple(words), document.where(*place, "arguments"), tuple(own.arguments), said)
        if name in scenes and scenes[name] != found:
            raise ConfigError(f"{document.where(*place)}: there are two scenes called {name}: rename one")
        scenes[name] = found
    return scenes


def _predictions(section: Predictions, document: Document, folder: Path) -> Matrix:
    here = document.path.absolute().parent
    if (section.pairs is None) == (section.pattern is None):
        raise ConfigError(
            f"{document.where('predict')}: give either pairs (a CSV file with the columns t1 and t2) or pattern "
            "(as scenes/{name}_{date:%Y%m%d}.tif)"
        )
    if section.pairs is not None:
        pairs = read_pairs(here / as_path(section.pairs))
    else:
        where = document.where("predict", "pattern")
        pairs = find_pairs(section.pattern or "", here, ends=section.dates == "ends", where=where)
    if section.join and section.shards == 1:
        raise ConfigError(
            f"{document.where('predict', 'join')} is for shards: say shards, or take it to arguments"
        )
    places: dict[Job, str] = {}
    for pair in pairs:
        whole = PredictJob(
            pair.name,
            folder / pair.name,
            here / as_path(section.checkpoint) if pair.checkpoint is None else pair.checkpoint,
            pair.t1,
            pair.t2,
            (*_nodata((*section.nodata, *pair.nodata)), *section.arguments),
        )
        arguments = document.where("predict", "arguments")
        if section.shards == 1:
            places[whole] = arguments
            continue
        count = section.shards
        parts = tuple(
            replace(whole, folder=whole.folder / "shards" / f"{i}-of-{count}", shard=f"{i}/{count}")
            for i in range(1, count + 1)
        )
        places |= dict.fromkeys(parts, arguments)
        places[JoinJob(pair.name, whole.folder, parts, tuple(section.join))] = document.where("predict", "join")
    table = () if section.pairs is None else (here / section.pairs,)
    return Matrix(folder, tuple(places), places, (document.path, *table))


def _nodata(values: Iterable[float]) -> tuple[str, ...]:
    """The arguments of ``predict`` that declare values of no data."""
    return tuple(f"--nodata={value:.17g}" for value in dict.fromkeys(values))


Found = TypeVar("Found")


def _right_names(
    field: str, names: list[str], document: Document, find: Callable[[str], Found], *, at: int | None = None
) -> list[Found]:
    found = []
    for i, name in enumerate(names):
        try:
            found.append(find(name))
        except HsiCdError as error:
            raise ConfigError(f"{document.where(field, i if at is None else at)}: {error}") from None
    return list(dict.fromkeys(found))


def _seeds(file: MatrixFile, document: Document) -> list[int]:
    seeds: list[int] = []
    for i, entry in enumerate(file.seeds):
        where = document.where("seeds", i)
        if not isinstance(entry, str | int) or isinstance(entry, bool):
            raise ConfigError(f"{where} is {entry!r}: it is neither a number nor a range, as 0-4")
        try:
            found = (entry,) if isinstance(entry, int) else parse_seeds(entry)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        for seed in (min(found), max(found)):
            resolve([(where, {"seed": seed})])
        seeds += found
    return seeds


def _assignments(
    values: Mapping[str, Any],
    document: Document,
    place: Place,
    *,
    beside: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> tuple[str, ...]:
    """Settings, with dots or nested, as ``--set`` takes them; each is checked where it stands."""
    found, layers = [], []
    for keys, value in _leaves(values, ()):
        text = f"{'.'.join(keys)}={json.dumps(value, default=str)}"
        found.append(text)
        layers.append((document.where(*place, *keys), parse_assignment(text)))
    resolve([*beside, *layers])
    return tuple(found)


def _leaves(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, str(key)))
        else:
            yield (*above, str(key)), value


def _path_safe(name: str, document: Document, place: Place) -> str:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{document.where(*place)} is {name!r}: it names a folder; use letters, digits, '.', '_', '+' and '-'"
        )
    return name


def _parse(kind: type[Part], values: Any, document: Document, place: Place) -> Part:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    *above, last = problem["loc"] or (place[-1],)
    where = document.where(*place, *problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list((Predictions if above else kind).model_fields)
        near = difflib.get_close_matches(str(last), known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{where} is no field of a matrix: {hint}")
    if problem["type"] == "missing":
        raise ConfigError(f"{document.where(*place, *above)}: {last} is missing: give it")
    found = "" if isinstance(problem["input"], dict) else f" is {str(problem['input'])[:60]!r}"
    raise ConfigError(f"{where}{found}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
