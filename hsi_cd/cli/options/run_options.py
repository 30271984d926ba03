"""Options of the commands that learn: settings, the run folder, the seed and the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.pair_options import NO_WORD, drop_option, drop_settings
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import check_scene

if TYPE_CHECKING:
    from hsi_cd.api.sources import Contract, SceneSource
    from hsi_cd.config import RunConfig

Layers = list[tuple[str, Mapping[str, Any]]]
"""Settings from several places, later ones winning, each with what a message calls it."""


@dataclass(frozen=True)
class SettingsChoice:
    """Settings of a run, as they were typed.

    Attributes:
        config_file: the file that ``--config`` names, or None.
        assignments: what ``--set`` was given, as ``train.epochs=50``.
    """

    config_file: Path | None = None
    assignments: tuple[str, ...] = ()

    def layers(self) -> Layers:
        """The settings of the file, then those of ``--set``.

        Raises:
            ConfigError: the file or an assignment is not understood.
        """
        from hsi_cd import config as configuration

        layers: Layers = [("--set " + text, configuration.parse_assignment(text)) for text in self.assignments]
        if self.config_file is not None:
            layers.insert(0, (str(self.config_file), configuration.read_config(self.config_file)))
        return layers

    def resolve(self) -> RunConfig:
        """The configuration: the defaults, changed by these.

        Raises:
            ConfigError: an unknown key, or a value that is not allowed.
        """
        from hsi_cd import config as configuration

        layers = self.layers()
        if not any("method" in layer for _, layer in layers):
            return configuration.resolve(layers)
        from hsi_cd.api.settings import resolve_run  # which loads the methods

        return resolve_run(layers)


settings_options = gathering(
    "settings",
    SettingsChoice,
    click.option(
        "--config",
        "config_file",
        type=PathType(),
        metavar="FILE",
        help="Settings: YAML, or an example's name.",
    ),
    click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated."
    ),
)
"""Change settings; the command is handed them as ``settings``."""


@dataclass(frozen=True)
class RunChoice:
    """Where a run goes, and what it begins with.

    Attributes:
        folder: the run folder, or None for one below ``runs``.
        seed: the seed, or None for the settings'.
        device: where to compute, or None for the settings'.
        dropped: kinds of bands that are left out.
        resume: go on with an interrupted run.
    """

    folder: Path | None = None
    seed: int | None = None
    device: str | None = None
    dropped: tuple[str, ...] = ()
    resume: bool = False

    def layers(self, contract: Contract, **further: str | None) -> Layers:
        """What these options say as settings, with ``further`` top-level ones that are not None.

        Args:
            contract: what is asked of the dates: what no data is, what masks them and whether they are
                registered, and the area of interest, a run keeps with its settings.
            further: what other options say.
        """
        asked = None if contract.register is None else {"dates": contract.register}
        masked = None if contract.mask == NO_WORD else list(contract.mask)
        kept = {"nodata": list(contract.nodata) or None, "mask": masked, "coregister": asked}
        kept["area"] = contract.area.settings()
        said = {"seed": self.seed, "device": self.device, **kept, **further}
        layers: Layers = [("options", {name: value for name, value in said.items() if value is not None})]
        return [*layers, ("--drop", {"bands": drop_settings(self.dropped)})] if self.dropped else layers

    def check(self) -> None:
        """Refuse to go on with a run that is not named.

        Raises:
            click.UsageError: so it is.
        """
        if self.resume and self.folder is None:
            raise click.UsageError("--resume needs --run DIR: the folder of the run to go on with")

    def folder_or(self, name: str) -> Path:
        """The run folder; without one, ``name`` with the time below ``runs``."""
        import time

        return self.folder or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def run_options(*, seed: str, torchrun: bool = False) -> Callable[[Any], Any]:
    """Say where a run goes; the command is handed it as ``choice``.

    Args:
        seed: what it is the seed of, for the help.
        torchrun: whether the command runs under torchrun, which takes ``--run`` for the beginning of its own.
    """
    names = ("--run", "--run-dir") if torchrun else ("--run",)
    beside = " With torchrun, write --run-dir." if torchrun else ""
    return gathering(
        "choice",
        RunChoice,
        drop_option,
        click.option(
            *names,
            "folder",
            type=PathType(),
            metavar="DIR",
            help=f"Run folder [default: runs/...].{beside}",
        ),
        click.option("--seed", type=int, help=f"Seed of {seed} [default: 0]."),
        click.option(
            "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute [default: auto]."
        ),
        click.option("--resume", is_flag=True, help="Go on with the interrupted run in --run."),
    )


def run_config(settings: SettingsChoice, layers: Layers, source: SceneSource) -> RunConfig:
    """The configuration of a run: defaults, the scene's own file, ``--config``, ``--set``, then other options.

    Args:
        settings: what ``--config`` and ``--set`` say.
        layers: what other options say.
        source: the scene that the options name; a dataset may come from the settings instead.

    Raises:
        ConfigError: an unknown key, or a value that is not allowed.
        UnknownNameError: there is no such dataset.
        click.UsageError: anything but a dataset or a pair of files is named.
    """
    from dataclasses import replace

    from hsi_cd.api.settings import resolve_run

    layers = [*settings.layers(), *layers]
    config = resolve_run(layers)
    check_scene(replace(source, dataset=config.dataset))
    if config.dataset is None:
        return config
    from hsi_cd.api.benchmarks import dataset_name, dataset_settings

    name = dataset_name(config.dataset)
    return resolve_run([dataset_settings(name), *layers, ("options", {"dataset": name})])
