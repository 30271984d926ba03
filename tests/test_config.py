from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from hsi_cd.config import (
    HEADS,
    HEADS_WITH_DISTANCE,
    PretrainConfig,
    RunConfig,
    TeacherConfig,
    TrainConfig,
    dataset_config,
    parse_assignment,
    read_config_file,
    resolve,
    to_yaml,
)
from hsi_cd.datasets import CATALOGUE
from hsi_cd.errors import ConfigError, MissingInputError
from hsi_cd.nn.losses import LOSSES
from hsi_cd.nn.pretext import TASKS
from hsi_cd.nn.schedules import SCHEDULES
from hsi_cd.plugins import load_named
from hsi_cd.training.samplers import SAMPLERS

CONFIGS = Path(__file__).parents[1] / "configs"


def leaves(model: type[BaseModel] = RunConfig) -> dict[str, Any]:
    """Nested names of every setting."""
    return {
        name: leaves(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        else None
        for name, field in model.model_fields.items()
    }


def names_of(content: dict[str, Any]) -> dict[str, Any]:
    # A method's options are free, and none by default: an empty mapping is a setting, not a section.
    return {
        name: names_of(value) if isinstance(value, dict) and value else None for name, value in content.items()
    }


def test_the_default_file_lists_every_setting_with_its_default() -> None:
    content = read_config_file(CONFIGS / "default.yaml")
    assert resolve([("default.yaml", content)]) == RunConfig()
    assert names_of(content) == leaves()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_project_is_valid(path: Path) -> None:
    config = resolve([(path.name, read_config_file(path))])
    if path.stem != "default":
        assert config.dataset == path.stem
        assert dataset_config(path.stem) == read_config_file(path)


@pytest.mark.parametrize("path", sorted((CONFIGS / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_valid_and_changes_something(path: Path) -> None:
    config = resolve([(path.name, read_config_file(path))])
    assert config != RunConfig()
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_every_loss_schedule_and_sampler_has_an_example_and_a_builder() -> None:
    examples = [resolve([("", read_config_file(path))]).train for path in (CONFIGS / "examples").glob("*.yaml")]
    for field, known in (("loss", LOSSES), ("schedule", SCHEDULES), ("sampler", SAMPLERS)):
        names = set(get_args(TrainConfig.model_fields[field].annotation))
        assert names == known.keys()
        assert names == {getattr(train, field) for train in examples}


def test_the_heads_that_a_contrastive_loss_can_teach_have_a_distance() -> None:
    assert {name for name, head in HEADS.items() if hasattr(load_named(head, kind="head"), "measure")} == set(
        HEADS_WITH_DISTANCE
    )


def test_an_option_belongs_to_a_block_of_its_name() -> None:
    for field, known in (("loss", LOSSES), ("schedule", SCHEDULES), ("sampler", SAMPLERS)):
        options = TrainConfig.model_fields[f"{field}_options"].annotation
        assert options is not None and options.model_fields.keys() <= known.keys()


def test_settings_are_judged_together_once_all_are_there() -> None:
    parts: list[tuple[str, dict[str, Any]]] = [
        ("first", {"train": {"schedule": "plateau", "folds": 0}}),
        ("second", {"train": {"folds": 2}}),
    ]
    assert resolve(parts).train.schedule == "plateau"
    with pytest.raises(ConfigError, match=r"^configuration: train: schedule plateau waits for validations"):
        resolve(parts[:1])


def test_an_encoder_starts_from_one_file() -> None:
    weights = {"model": {"backbone": {"kind": "resnet18", "weights": "a.pth"}}}
    with pytest.raises(ConfigError, match=r"weights and train\.pretrained both start the encoder: set one"):
        resolve([("a", weights), ("b", {"train": {"pretrained": "encoder.pt"}})])


def test_every_task_and_teacher_has_a_builder_and_an_example() -> None:
    examples = [resolve([("", read_config_file(path))]) for path in CONFIGS.glob("examples/*.yaml")]
    tasks = get_args(PretrainConfig.model_fields["task"].annotation)
    assert set(tasks) == TASKS.keys() == {config.pretrain.task for config in examples}
    teachers = get_args(TeacherConfig.model_fields["kind"].annotation)
    assert set(teachers) == {config.train.teacher.kind for config in examples}


def test_a_scene_without_a_file_needs_no_settings() -> None:
    assert dataset_config("no such scene") == {}


def test_no_layers_are_the_defaults() -> None:
    assert resolve([]) == RunConfig()


def test_the_later_layer_wins_and_leaves_its_neighbours() -> None:
    layers: list[tuple[str, dict[str, Any]]] = [
        ("a", {"seed": 1, "train": {"epochs": 2, "lr": 0.1}}),
        ("b", {"train": {"epochs": 3, "augment": {"mixup": 0}}}),
        ("c", {"train": {"augment": {"flips": False}}}),
    ]
    config = resolve(layers)
    assert (config.seed, config.train.epochs, config.train.lr) == (1, 3, 0.1)
    assert (config.train.augment.mixup, config.train.augment.flips) == (0, False)
    assert config.train.batch_size == RunConfig().train.batch_size


def test_layers_are_left_as_they_were() -> None:
    first: dict[str, Any] = {"train": {"epochs": 2}}
    resolve([("a", first), ("b", {"train": {"epochs": 3}})])
    assert first == {"train": {"epochs": 2}}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"train": {"epoch": 5}}, r"my\.yaml: unknown key train\.epoch: did you mean train\.epochs\?"),
        ({"sed": 5}, r"unknown key sed: did you mean seed\?"),
        ({"epochs": 5}, r"unknown key epochs: did you mean train\.epochs\?"),
        ({"split": {"qqq": 5}}, r"unknown key split\.qqq: known here are protocol, fraction"),
        ({1: 5}, r"my\.yaml: .*1"),
    ],
)
def test_an_unknown_key_names_the_nearest(layer: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve([("my.yaml", layer)])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epochs", 0, r"train\.epochs is 0: .*greater than or equal to 1"),
        ("train.epochs", 2.5, r"train\.epochs is 2\.5: .*integer"),
        ("train.epochs", "many", r"train\.epochs is 'many': .*integer"),
        ("train.epochs", True, r"train\.epochs is True: .*integer"),
        ("train.lr", float("nan"), r"train\.lr is nan: .*finite"),
        ("train.lr", -1, r"train\.lr is -1: .*greater than 0"),
        ("train.augment.flips", 1, r"flips is 1: .*boolean"),
        ("prepare.projection", "ica", r"prepare\.projection is 'ica': .*'mnf', 'pca' or 'none'"),
        ("model.attention.window", 4, r"model\.attention: window is 4: it must be odd"),
        ("model.attention.scales", [1, 9], r"model\.attention\.scales\.1 is 9: .*less than or equal to 8"),
        ("model.attention.scales", [], r"model\.attention\.scales .*at least 1 item"),
        ("model.attention.scales", [1.5], r"model\.attention\.scales\.0 is 1\.5: .*integer"),
        ("model.backbone.patch", 4, r"model\.backbone: patch is 4: it must be odd"),
        ("model.backbone.kind", "resnet", r"kind is 'resnet': did you mean resnet\d+\? .* or module:Class"),
        ("model.backbone.kind", 3, r"model\.backbone\.kind is 3: input should be 'pointwise', "),
        ("model.backbone.kind", "no.such:Net", r"backbone no\.such:Net: there is no module no: install"),
        ("model.attention.kind", "math:Net", r"attention math:Net: math has no Net"),
        ("model.head", "math:sin.x", r"head math:sin\.x: math has no sin\.x"),
        ("model.backbone.widht", 3, r"unknown key model\.backbone\.widht: did you mean model\.backbone\.width"),
        ("model.backbone", {"kind": "math:sin", "widths": {"a": 1}}, r"model\.backbone\.widths"),
        ("model.head", "cosin", r"model\.head is 'cosin': .*'cosine'"),
        ("model.threshold", 1, r"model\.threshold: 1 is no threshold: give validation, learned, or"),
        ("model.threshold", "valid", r"model\.threshold: 'valid' is no threshold"),
        ("train.freeze.groups", -1, r"train\.freeze\.groups is -1: .*greater than or equal to 0"),
        ("train.freeze.names", [3], r"train\.freeze\.names\.0 is 3: .*string"),
        ("pretrain.patch", 4, r"pretrain: patch is 4: it must be odd"),
        ("pretrain.task", "mask", r"pretrain\.task is 'mask': .*'masked' or 'vae'"),
        ("pretrain.held_out", 0, r"pretrain\.held_out is 0: .*greater than 0"),
        ("train.teacher.kind", "mean", r"train\.teacher\.kind is 'mean': .*'mean_teacher'"),
        ("train.teacher.decay", 1, r"train\.teacher\.decay is 1: .*less than 1"),
        ("train.teacher.confidence", 0.5, r"confidence is 0\.5: .*greater than 0\.5"),
        ("train.pretrained", 3, r"train\.pretrained is 3: .*string"),
        ("train", 5, r"train is 5: .*dictionary"),
        ("train", None, r"train is None: .*dictionary"),
        ("split.fraction", 1, r"split\.fraction is 1: .*less than 1"),
        ("train.loss", "focall", r"train\.loss is 'focall': did you mean focal\? .*'bce', 'cross_entropy'"),
        ("train.schedule", "hodl", r"train\.schedule is 'hodl': did you mean hold\?"),
        ("train.sampler", "x", r"train\.sampler is 'x': input should be 'shuffle', 'balanced'"),
        ("train.schedule_options.step.every", 0, r"train\.schedule_options\.step\.every is 0: .*greater than"),
        ("train.folds", 1, r"train: folds is 1: .*0 is no validation"),
        ("train", {"folds": 0, "patience": 3}, r"patience waits for validations, but folds is 0"),
        ("train", {"folds": 0, "schedule": "plateau"}, r"schedule plateau waits for .* set train\.folds"),
        ("train.linear_warmup", 0.1, r"one_cycle rises by itself: set train\.warmup"),
        ("train.loss", "contrastive", r"contrastive knows no soft targets, .* set train\.augment\.mixup=0"),
        (
            "train",
            {"loss": "contrastive", "label_smoothing": 0.1, "augment": {"mixup": 0}},
            r"set train\.label_smoothing=0",
        ),
        (
            "train",
            {"loss": "contrastive", "augment": {"mixup": 0}},
            r"model\.head distance_mlp .* set model\.head",
        ),
        (
            "",
            {
                "model": {"head": "cosine", "threshold": "learned"},
                "train": {"loss": "contrastive", "augment": {"mixup": 0}},
            },
            r"contrastive teaches .* no threshold of it: set model\.threshold",
        ),
        ("benchmark", True, r"benchmark takes .* set deterministic to false"),
        ("seed", 2**32, r"seed is 4294967296: .*less than 4294967296"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(key: str, value: Any, message: str) -> None:
    for part in reversed(key.split(".")) if key else ():
        value = {part: value}
    with pytest.raises(ConfigError, match=message) as caught:
        resolve([("--set", value)])
    assert "\n" not in str(caught.value)


def test_the_source_of_a_mistake_is_told() -> None:
    with pytest.raises(ConfigError, match=r"^second: "):
        resolve([("first", {"seed": 1}), ("second", {"seed": -1})])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=50", {"train": {"epochs": 50}}),
        (" seed = 3", {"seed": 3}),
        ("train.augment.flips=false", {"train": {"augment": {"flips": False}}}),
        ("dataset=null", {"dataset": None}),
        ("dataset=a=b", {"dataset": "a=b"}),
        ("prepare={components: 3}", {"prepare": {"components": 3}}),
        ("backbone.weights=a.pth", {"model": {"backbone": {"weights": "a.pth"}}}),
        ("augment.mixup=0", {"train": {"augment": {"mixup": 0}}}),
        ("bands.drop_bad=true", {"bands": {"drop_bad": True}}),
        ("backbone.wights=a.pth", {"backbone": {"wights": "a.pth"}}),
    ],
)
def test_an_assignment_is_nested_keys(text: str, expected: dict[str, Any]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "2.e-3", "+1e-2", "0.001"])
def test_numbers_may_be_written_with_an_exponent(text: str) -> None:
    assert resolve([("--set", parse_assignment(f"train.lr={text}"))]).train.lr == float(text)


@pytest.mark.parametrize("text", ["train.epochs", "=5", " =5", "a=[", "a='", "a=2001-99-99", "a=0x_"])
def test_an_assignment_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^setting "):
        parse_assignment(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seed: 1")
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(MissingInputError, match="is not a file"):
            read_config_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: 1\ntrain:\n  epochs: [1\n", "not valid YAML at line 4, column 1"),
        (b"a: b: c", "not valid YAML at line 1, column 5"),
        (b"seed: \x07", "not valid YAML"),
        (b"seed: 2001-99-99", "not valid YAML"),
        (b"seed: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"- 1\n- 2", "holds a list: expected keys"),
        (b"just text", "holds a str"),
        (b"\xff\xfe\xff", "is not text"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "my.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config_file(tmp_path / "my.yaml")


def test_what_one_layer_needs_another_may_bring() -> None:
    layers = [("--set", parse_assignment(text)) for text in ("train.schedule=plateau", "train.linear_warmup=0.1")]
    layers += [("--set", parse_assignment("train.loss=contrastive")), ("--set", {"model": {"head": "distance"}})]
    layers += [("--set", parse_assignment("train.augment.mixup=0"))]
    assert resolve(layers) == resolve(reversed(layers))
    assert resolve(layers).train.loss == "contrastive"


def test_a_key_in_the_wrong_place_is_shown_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match=r"train\.gamma: did you mean train\.loss_options\.focal\.gamma\?"):
        resolve([("--set", {"train": {"gamma": 2.0}})])


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("# nothing yet\n")
    assert read_config_file(tmp_path / "my.yaml") == {}


def test_what_is_written_is_read() -> None:
    config = resolve([("a", {"dataset": "farmland", "train": {"lr": 1e-7}, "model": {"attention": {"ds": 3}}})])
    assert resolve([("again", yaml.safe_load(to_yaml(config)))]) == config


def test_nobody_changes_a_configuration() -> None:
    config = RunConfig()
    with pytest.raises(ValidationError):
        config.seed = 3
    with pytest.raises(ValidationError):
        config.train.augment.mixup = 0.1


def test_the_files_of_scenes_are_in_the_catalogue() -> None:
    names = {path.stem for path in CONFIGS.glob("*.yaml")} - {"default"}
    assert names <= CATALOGUE.keys()


@pytest.mark.parametrize(
    ("train", "bounds"),
    [
        ({}, (300, 600, 900)),
        ({"epochs": 50}, (50, None, None)),
        ({"epochs": 300}, (300, None, None)),
        ({"epochs": 50, "max_steps": 100}, (50, None, 100)),
        ({"epochs": 50, "min_steps": 600, "max_steps": 900}, (50, 600, 900)),  # a run of an earlier version
        ({"min_steps": 1200}, (300, 1200, 1200)),
        ({"max_steps": 100}, (300, 100, 100)),
        ({"max_steps": None}, (300, 600, None)),
    ],
)
def test_epochs_that_are_given_alone_have_no_bounds(train: dict[str, Any], bounds: tuple[int | None, ...]) -> None:
    config = resolve([("--set", {"train": {name: value}}) for name, value in train.items()]).train
    assert (config.epochs, config.min_steps, config.max_steps) == bounds
    assert TrainConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"min_steps": 9, "max_steps": 8}, r"train: min_steps is 9, above max_steps, which is 8"),
        ({"min_steps": 0}, r"train\.min_steps is 0: .*greater than or equal to 1"),
        ({"max_steps": "many"}, r"train\.max_steps is 'many': .*integer"),
        ({"max_steps": True}, r"train\.max_steps is True: .*integer"),
    ],
)
def test_bounds_that_are_none(train: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve([("--set", {"train": train})])


def test_the_home_folder_in_files_and_in_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text("train: {pretrained: ~/encoder.pt}")
    content = read_config_file(Path("~/own.yaml"))
    assert resolve([("own", content)]).train.pretrained == str(tmp_path / "encoder.pt")
    weights = resolve([("--set", parse_assignment("backbone.weights=./~/w.pt"))]).model.backbone.weights
    assert weights == "./~/w.pt"  # as it was written
