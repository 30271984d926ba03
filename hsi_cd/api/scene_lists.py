"""Many scenes from a file: their names, where they lie, and how each is read."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hsi_cd.api.masking import mask_files
from hsi_cd.api.opening import input_files, open_scene, truth_of
from hsi_cd.api.sources import Contract, SceneSource, TruthSource
from hsi_cd.api.truths import scheme_of
from hsi_cd.batch.lines import Document, Place, read_document
from hsi_cd.batch.pairs import NAME
from hsi_cd.errors import ConfigError, HsiCdError, MissingInputError
from hsi_cd.paths import as_path
from hsi_cd.places import is_place
from hsi_cd.training.examples import LabelledScene

_MEMORY, _LEAST = 1 << 30, 16 << 20  # bytes of decoded blocks of all scenes, and of each at least


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) and not isinstance(value, bool) else value


Texts = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Value = Annotated[float, Field(strict=False, allow_inf_nan=False)]  # YAML takes 1e20 for text
Values = Annotated[list[Value], BeforeValidator(_listed)]
Classes = Annotated[list[int] | list[str], BeforeValidator(_listed)]


class SceneFields(BaseModel):
    """The fields of a scene in a list of scenes: its name and files, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    t1: Texts
    t2: Texts
    truth: Texts
    resample: bool = False
    align: bool = False
    common_bands: bool = False
    register_dates: bool = Field(default=False, alias="register")
    nodata: Values = []
    mask: Texts = ["auto"]
    axes: str | None = None
    t1_key: str | None = None
    t2_key: str | None = None
    truth_key: str | None = None
    layer: str | None = None
    field: str | None = None
    changed: Classes = []
    unchanged: Classes = []
    ignore: Classes = []


@dataclass(frozen=True)
class ListedScene:
    """A scene of a list.

    Attributes:
        name: what it is called.
        where: file, line and field that name it, for messages.
        source: where it lies.
        contract: what is asked of its dates.
        truth: its truth map; none of a benchmark scene, which brings its own.
    """

    name: str
    where: str
    source: SceneSource
    contract: Contract = Contract()  # noqa: RUF009 - frozen
    truth: TruthSource = TruthSource()  # noqa: RUF009 - frozen

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that it is read from."""
        return (*input_files(self.source, self.truth), *mask_files(self.contract.mask))

    def open(self) -> LabelledScene:
        """The scene with its truth map.

        Raises:
            HsiCdError: as :func:`hsi_cd.open_pair` and :func:`hsi_cd.open_labels` say; its place in the list is
                named first.
        """
        try:
            pair = open_scene(self.source, self.contract, like=self.truth)
            return LabelledScene(pair, truth_of(self.source, self.truth, pair.scene_grid))
        except HsiCdError as error:
            raise type(error)(f"{self.where}: {error}") from error


def read_scenes(path: Path, *, data_root: Path) -> list[ListedScene]:
    """The scenes of a YAML file; paths in it are relative to its own folder.

    Args:
        path: the file: ``scenes:``, a list of benchmark scenes by name, and of mappings with ``name``, ``t1``,
            ``t2``, ``truth`` and how these are read.
        data_root: folder of the benchmark scenes.

    Raises:
        MissingInputError: there is no such file, or it names one that is not there.
        ConfigError: a field is unknown, missing or wrong, or a name is given twice; with its line.
    """
    document = read_document(path)
    entries = document.values.get("scenes")
    if other := next((key for key in document.values if key != "scenes"), None):
        raise ConfigError(
            f"{document.where(other)} is no field of a list of scenes: give scenes: and a list alone"
        )
    if not isinstance(entries, list) or not entries:
        raise ConfigError(
            f"{path} lists no scene: give scenes: and below it, for each, - name: ..., t1, t2, truth"
        )
    found: dict[str, ListedScene] = {}
    for number, entry in enumerate(entries):
        scene = _scene(entry, document, ("scenes", number), data_root)
        # Together, their decoded blocks take what those of one scene may.
        scene = replace(scene, source=replace(scene.source, memory=max(_LEAST, _MEMORY // len(entries))))
        if scene.name in found:
            raise ConfigError(f"{scene.where}: there are two scenes called {scene.name}: rename one")
        found[scene.name] = scene
    return list(found.values())


def open_scenes(listed: Sequence[ListedScene]) -> list[LabelledScene]:
    """All scenes with their truth maps; of the dates no pixel is read yet."""
    return [scene.open() for scene in listed]


def _scene(entry: Any, document: Document, place: Place, data_root: Path) -> ListedScene:
    where = document.where(*place)
    if isinstance(entry, str):
        from hsi_cd.api.benchmarks import dataset_name

        try:
            name = dataset_name(entry)
        except HsiCdError as error:
            raise ConfigError(f"{where}: {error}") from None
        return ListedScene(name, where, SceneSource(dataset=name, root=data_root))
    if not isinstance(entry, dict):
        raise ConfigError(
            f"{where} is {entry!r}: give a dataset's name, or name, t1, t2 and truth of your own scene"
        )
    own = _fields(entry, document, place)
    if not NAME.fullmatch(own.name):
        raise ConfigError(
            f"{document.where(*place, 'name')} is {own.name!r}: it names a folder; use letters, digits, '.', '_', "
            "'+' and '-'"
        )
    here = document.path.absolute().parent
    t1, t2, truth = ([here / as_path(each) for each in paths] for paths in (own.t1, own.t2, own.truth))
    for key, paths in (("t1", t1), ("t2", t2), ("truth", truth)):
        for path in paths:
            if not is_place(path) and not path.exists():
                raise MissingInputError(
                    f"{document.where(*place, key)}: {path} does not exist: give a file or folder"
                )
    masks = tuple(str(here / each) if (here / each).is_file() else each for each in own.mask)
    try:
        scheme = scheme_of(own.changed, own.unchanged, own.ignore)
    except HsiCdError as error:
        raise ConfigError(f"{where}: {error}") from None
    source = SceneSource(
        t1=tuple(t1),
        t2=tuple(t2),
        keys=(own.t1_key, own.t2_key),
        axes=own.axes,
        resample=own.resample,
        name=own.name,
    )
    contract = Contract(
        own.align, own.common_bands, nodata=tuple(own.nodata), register=own.register_dates, mask=masks
    )
    labels = TruthSource(tuple(truth), own.truth_key, scheme, own.layer, own.field, align=own.align)
    return ListedScene(own.name, where, source, contract, labels)


def _fields(entry: dict[str, Any], document: Document, place: Place) -> SceneFields:
    try:
        return SceneFields.model_validate(entry)
    except ValidationError as error:
        # A field that is missing may be the one that is misspelt.
        problem = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    last = str(problem["loc"][0])
    where = document.where(*place, *(part for part in problem["loc"] if part in entry or isinstance(part, int)))
    if problem["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in SceneFields.model_fields.items()]
        near = difflib.get_close_matches(last, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{where} is no field of a scene: {hint}")
    if problem["type"] == "missing":
        raise ConfigError(f"{document.where(*place)}: {last} is missing: give it")
    found = "" if isinstance(problem["input"], dict) else f" is {str(problem['input'])[:60]!r}"
    raise ConfigError(f"{where}{found}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
