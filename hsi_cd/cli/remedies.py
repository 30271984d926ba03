"""The library's remedies in the words of the command line: ``align=True`` is ``--align`` here.

A message of the library names what to do in the library's terms. Here, before it is shown, these become options. A
new remedy is one line in the table.
"""

from __future__ import annotations

import re
from functools import partial

_QUOTED = r"'[^']*'(?: or '[^']*')*"

REMEDIES: tuple[tuple[str, str], ...] = (
    # What a message begins with, as it names what was said.
    (r"^setting (?=\S+)", "--set "),
    (r"^vary (?=\S+)", "--vary "),
    (r"^like=(?=\S)", "--like "),
    (rf"^(field|layer)=({_QUOTED})", r"--\1 \2"),
    # What Python has in two places, and the command line in one.
    (
        r"(?<![\w./-])hsi_cd\.choose_bands\(pair, drop_constant=True\), or the setting bands\.drop_constant\b",
        "--drop constant",
    ),
    (
        r"(?<![\w./-])hsi_cd\.choose_bands\(pair, drop_partly_empty=True\), or the setting "
        r"bands\.drop_partly_empty\b",
        "--drop partly-empty",
    ),
    (r"(?<![\w./-])drop_water_vapour=True(?!\.?\w)", "--drop water-vapour"),
    (r"let open_labels resample it with like= and align=True", "say --align to resample it"),
    # Switches.
    (r"(?<![\w./-])allow_identical=True(?!\.?\w)", "--allow-identical"),
    (r"(?<![\w./-])any_units=True(?!\.?\w)", "--any-units"),
    (r"(?<![\w./-])align=True(?!\.?\w)", "--align"),
    (r"(?<![\w./-])common_bands=True(?!\.?\w)", "--common-bands"),
    (r"(?<![\w./-])overwrite=True(?!\.?\w)", "--overwrite"),
    (r"(?<![\w./-])register=True(?!\.?\w)", "--register"),
    (r"(?<![\w./-])register=False(?!\.?\w)", "--no-register"),
    (r"(?<![\w./-])resample=True(?!\.?\w)", "--resample"),
    (r"(?<![\w./-])train with resume=True(?!\.?\w)", "hsi-cd train --resume"),
    (r"(?<![\w./-])resume=True(?!\.?\w)", "--resume"),
    (r"(?<![\w./-])refit=True(?!\.?\w)", "--refit-statistics"),
    (r"(?<![\w./-])hsi_cd\.detect\(pair, kinds='([^']*)'\)", r"hsi-cd detect --kinds \1"),
    (r"(?<![\w./-])train with kinds=True(?!\.?\w)", "hsi-cd train --kinds"),
    (r"(?<![\w./-])kinds=True(?!\.?\w)", "--kinds"),
    (r"(?<![\w./-])kinds=False(?!\.?\w)", "--no-kinds"),
    (r"(?<![\w./-])kind_probability=(?![^\s,;)])", "--kind-probabilities"),
    (r"^names=(?=\s)", "--names"),
    # Options that take a value.
    (r"(?<![\w./-])threshold='(\w+)'", r"--set threshold=\1"),
    (rf"(?<![\w./-])(axes|device|format|precision|reference|statistics)=({_QUOTED})", r"--\1 \2"),
    (rf"(?<![\w./-])bounds_crs=({_QUOTED})", r"--bounds-crs \1"),
    (r"(?<![\w./-])bounds_crs=(?![^\s,;)])", "--bounds-crs"),
    (r"(?<![\w./-])nodata=(?=-?\d)", "--nodata "),
    (rf"(?<![\w./-])mask=({_QUOTED})", r"--mask \1"),
    (r"(?<![\w./-])(probability|score|split|uncertainty)=FILE\b", r"--\1 FILE"),
    (r"(?<![\w./-])start_from=", "--start-from "),
    (r"(?<![\w./-])init=(?=\S)", "--init "),
    (r"(?<![\w./-])members=(\d+)\b", r"--set model.members=\1"),
    (r"(?<![\w./-])labels=(?![^\s,;)])", "--truth"),
    (r"(?<![\w./-])per_stratum=(?![^\s,;)])", "--per-stratum"),
    (r"(?<![\w./-])(bands|workers)=N\b", r"--\1 N"),
    (r"(?<![\w./-])memory=(\d+)\b", r"--memory \1"),
    (r"(?<![\w./-])pretrain\.task=vae\b", "--task vae"),
    (r"(?<![\w./-])keys=(?![^\s,;)])", "--t1-key and --t2-key"),
    (r"(?<![\w./-])root=(?![^\s,;)])", "--data-root"),
    (
        r"(?<![\w./-])(aoi|axes|bounds|changed|unchanged|ignore|checkpoint|dates|field|key|layer|like|mask|names|nodata|output|probability|profile|run|score|uncertainty|vector|work)=(?![^\s,;)])",
        r"--\1",
    ),
    (r"import [\w.]+ first, or (?=set HSI_CD_PLUGINS=)", ""),
    # Functions.
    (r"(?<![\w./-])hsi_cd\.detect\(pair, method='([^']*)'\)", r"hsi-cd detect --method \1"),
    (r"(?<![\w./-])open_dataset\('([^']*)'\)", r"--dataset \1"),
    (r"(?<![\w./-])sample_map\b", "hsi-cd sample"),
    (r"(?<![\w./-])open_pair and open_labels\b", "--t1, --t2 and --truth"),
    (r"(?<![\w./-])predict wrote with shard=(?![^\s,])", "hsi-cd predict --shard wrote"),
    (r"(?<![\w./-])predict with shard='([^']*)'", r"hsi-cd predict --shard \1"),
)
"""A pattern of the library's terms, and what the command line says in its place, in the order they are applied."""


ELSEWHERE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    # One has no such option, but takes the setting; others take none.
    (("detect",), r"--device (\w+) or \w+", r"--set device=\1"),
    (("detect",), r"--device (\w+)", r"--set device=\1"),
    (("predict", "mosaic"), r", or --set train\.batch_size=\d+", ""),
    # What is a setting of a run is an option where nothing else is drawn.
    (("split",), r"\bsplit\.(fraction|count|imbalance|block|radius)\b", r"--\1"),
    # There, kinds are a file.
    (("series",), r"leave --kinds out", "leave --kinds-map out"),
    # Commands that open no scene of their own: a registered file serves all of them, or the runs' setting.
    (("benchmark", "curve", "batch"), r"by --register\b", "with the setting coregister.dates=true"),
    # Runs that others start are told settings, whichever command or file starts them.
    (("benchmark", "curve", "batch"), r"with --drop ([a-z]+)", r"with the setting bands.drop_\1=true"),
)
"""Commands that say a remedy in other words than the rest: a pattern of the usual words, and theirs."""


def for_command(message: str, command: str) -> str:
    """A message in options, as the command that shows it takes them.

    Args:
        message: of the library, or in options already.
        command: name of the command, as ``detect``.
    """
    message = in_options(message)
    for commands, pattern, own in ELSEWHERE:
        if command in commands:
            message = re.sub(pattern, own, message)
    return message


def in_options(message: str) -> str:
    """A message of the library with its remedies as options of the command line."""
    for pattern, option in REMEDIES:
        message = re.sub(pattern, partial(_bare, option), message)
    return message


def _bare(option: str, found: re.Match[str]) -> str:
    """The option in place of what was found, its values as they are typed in a shell: without Python's quotes."""
    return found.expand(option).replace("'", "")
