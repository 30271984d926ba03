"""The README and the pages: what they tell to type exists, what they link to is there, what they show runs."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np
import pytest
import rasterio
import scipy.io
from packaging.requirements import Requirement

import hsi_cd
from hsi_cd.cli.main import cli as group
from hsi_cd.config import parse_assignment, read_config_file, resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import HsiCdError

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "configs/README.md", "data/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
REFUSED = (click.ClickException, HsiCdError)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture
def own_files(simulated: PairFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a reader's files lie, under the names that the pages give them."""
    for source, name in ((simulated.t1, "before"), (simulated.t2, "after"), (simulated.truth, "truth")):
        shutil.copy(source, tmp_path / f"{name}.tif")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- What is typed ---


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and code of each block: fenced, or indented after an empty line (then of the shell)."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield found[1], found[2]
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"(?<=\n\n)((?: {4}.*\n|\n(?= {4}))+)", plain):
        yield "bash", re.sub(r"^ {4}", "", found[1], flags=re.MULTILINE)


def typed(text: str) -> Iterator[list[str]]:
    """The words of each command line, and of each one that stands within a sentence."""
    spans = re.findall(r"(?<!`)`((?:hsi-cd|bash scripts/|\.venv/bin/)[^`\n]*)`(?!`)", text)
    lines = [code for language, code in blocks(text) if language == "bash"]
    lines += [
        f"{span} ..." if span.startswith("hsi-cd ") else span for span in spans
    ]  # a sentence leaves out the rest
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        quoted = [word for word in words if word.startswith("hsi-cd ")]  # as in: tmux new -s paper 'hsi-cd ...'
        for part in (words, *map(shlex.split, quoted)):
            yield from _segments(part)


def _segments(words: list[str]) -> Iterator[list[str]]:
    """Simple commands: what stands between ; and &&, without redirections."""
    segment: list[str] = []
    for word in [*words, ";"]:
        if word in {";", "&&", "&", "|", "do", "done", ">", "2>&1"} or word.endswith(";"):
            yield [*segment, *([word[:-1]] if len(word) > 1 and word.endswith(";") else [])]
            segment = []
        else:
            segment.append(word)


def hsi_cd_arguments(words: list[str]) -> list[str] | None:
    """What follows ``hsi-cd`` or ``-m hsi_cd``, wherever it stands; None where there is no such command."""
    for i, word in enumerate(words):
        started = word == "hsi_cd" and words[i - 1] == "-m"
        if started or (word.endswith(("hsi-cd", "hsi-cd)")) and (i == 0 or words[i + 1 : i + 2] != [])):
            rest = words[i + 1 :]
            if i == 0 or started or (rest and rest[0] in group.list_commands(click.Context(group))):
                return rest
    return None


def check_arguments(arguments: list[str]) -> None:
    """Parse as click does, without running anything; ``...`` stands for options that are left out.

    Raises:
        click.ClickException, HsiCdError: there is no such command, option or setting, or a value does not fit.
    """
    anywhere = ("-q", "--quiet", "-v", "--verbose", "--debug")
    arguments = [re.sub(r"\$\w+", "1", word) for word in arguments if word not in anywhere]
    if not arguments or arguments[0].isupper() or arguments[0] == "--help":
        return
    context = click.Context(group, info_name="hsi-cd")
    name, command, rest = group.resolve_command(context, arguments)
    assert command is not None and name is not None
    if "--help" in rest:
        rest.remove("--help")
        rest.append("...")
    if "..." in rest or not rest:
        command.make_parser(click.Context(command)).parse_args(args=list(rest))
        return
    parsed = command.make_context(name, list(rest), parent=context)
    if name in {"train", "pretrain", "schedule", "model"}:
        layers = [("--set", parse_assignment(text)) for text in parsed.params.get("assignments") or ()]
        file = parsed.params.get("config_file")
        if file is not None and file.parts[0] == "configs":  # not a reader's own
            layers.insert(0, (str(file), read_config_file(ROOT / file)))
        resolve(layers)


def check_script(words: list[str]) -> None:
    """A script of ours that is named is there, and knows the options."""
    for i, word in enumerate(words):
        if re.fullmatch(r"scripts/[\w-]+\.(py|sh|sbatch)", word):
            source = (ROOT / word).read_text(encoding="utf-8")
            source += (ROOT / "scripts" / "bench_common.py").read_text(encoding="utf-8")
            options = [option for option in words[i + 1 :] if option.startswith("--")]
            if word.endswith(".py"):
                assert [option for option in options if f'"{option}"' not in source] == [], word


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_parses(page: Path) -> None:
    wrong = []
    for words in typed(page.read_text(encoding="utf-8")):
        arguments = hsi_cd_arguments(words)
        try:
            check_script(words)
            if arguments is not None:
                check_arguments(arguments)
        except (*REFUSED, AssertionError, OSError) as error:
            wrong.append(f"{' '.join(words)}: {getattr(error, 'message', error)}")
    assert wrong == []


def test_the_check_of_command_lines_finds_what_is_wrong() -> None:
    """Wrong lines are refused, and the search finds as many as there are."""
    for line in (
        "dettect --output x.tif",
        "detect --output",
        "detect --outptu x.tif ...",
        "predict --output x.tif",
        "predict --device gpu",
        "train --set train.lr=fast",
        "train --set train.epoch=50",
    ):
        with pytest.raises(REFUSED):
            check_arguments(line.split())
    found = [words for page in PAGES for words in typed(page.read_text(encoding="utf-8"))]
    assert sum(hsi_cd_arguments(words) is not None for words in found) > 80
    assert sum(any(word.startswith("scripts/") for word in words) for words in found) > 8


# --- What is linked ---


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_every_link_and_picture_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))
    missing = []
    for target in targets:
        path = target.partition("#")[0]
        if path and not re.match(r"https?:", path) and not (page.parent / path).exists():
            missing.append(target)
    # Pages of commands and of reference are made while the site is built, which checks these links itself.
    made = [target for target in missing if re.match(r"(\.\./)?(commands|reference|notebooks)/[\w-]+\.md", target)]
    assert sorted(missing) == sorted(made)


# --- What is told of the code ---


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=named)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    """Of the package, with or without its folder's name, of the tests and of the scripts."""
    found = re.findall(r"`((?:\w+/)+\w+\.(?:py|sh|yaml|toml))`", page.read_text(encoding="utf-8"))
    assert [name for name in found if "NAME" not in name and not _is_there(name)] == []


def _is_there(name: str) -> bool:
    return any((ROOT / room / name).exists() for room in ("", "hsi_cd"))


def test_the_walk_names_ten_files_in_the_order_of_the_calls(own_files: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walk = text.partition("\n1. ")[2].partition("\n\n")[0]
    told = re.findall(r"`(\w+/\w+\.py)`", walk)
    assert len(told) == len(set(told)) == 10

    def detect() -> None:
        hsi_cd.detect(hsi_cd.open_pair("before.tif", "after.tif")).write("change.tif", overwrite=True)

    called: dict[str, None] = {}
    package = f"{Path(hsi_cd.__file__).parent}{os.sep}"

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            called.setdefault(Path(frame.f_code.co_filename).relative_to(package).as_posix())

    detect()  # what is imported late is imported now
    before = sys.getprofile()
    sys.setprofile(see)
    try:
        detect()
    finally:
        sys.setprofile(before)
    assert [name for name in called if name in told] == told


# --- The README ---


def test_the_readme_is_short_and_names_the_pinned_torch() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = [line for line in lines if line and not line.startswith("#") and Requirement(line).name == "torch"]
    for page in ("README.md", "docs/start/map.md", "constraints.txt"):
        assert f"pip install {pin} --index-url https://download.pytorch.org/whl/cpu" in (ROOT / page).read_text()


FIVE = "members=5, seed=0"
"""Five members of full length take half a minute; fewer tell no less."""


def test_the_readme_python_lines_run(own_files: Path) -> None:
    (code,) = [code for language, code in blocks((ROOT / "README.md").read_text()) if language == "python"]
    assert FIVE in code
    told: dict[str, Any] = {}
    quick = 'members=2, seed=0, settings={"train.epochs": 40}'
    exec(compile(code.replace(FIVE, quick), "README.md", "exec"), told)
    assert (own_files / "change.tif").is_file()
    assert told["result"].scores["kappa"] > 0.3


@pytest.mark.usefixtures("figures")
@pytest.mark.slow
def test_the_page_on_python_runs_from_top_to_bottom(own_files: Path) -> None:
    with rasterio.open("before.tif") as before, rasterio.open("after.tif") as after:
        for name, date in (("T1", before), ("T2", after)):
            scipy.io.savemat(Path(date.name).with_suffix(".mat"), {name: np.moveaxis(date.read(), 0, -1)})
    with rasterio.open("truth.tif") as truth:
        kinds = np.where(truth.read(1) == 1, 2, 1).astype(np.uint8)
        with rasterio.open("kinds.tif", "w", **truth.profile) as written:
            written.write(kinds, 1)
    page = (ROOT / "docs" / "start" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(code for language, code in blocks(page) if language == "python")
    assert FIVE in code
    code = code.replace(FIVE, 'members=2, seed=0, settings={"train.epochs": 3}').replace(": 50", ": 3")
    exec(compile(code, "python.md", "exec"), {})
    for name in ("change.tif", "irmad.tif", "score.tif", "regions.gpkg", "net.pt", "again.tif"):
        assert (own_files / name).is_file()
    assert (own_files / "runs" / "mine" / "result.json").is_file()
    assert (own_files / "runs" / "svm" / "figure.png").is_file()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_on_the_pages_is_python(page: Path) -> None:
    trees = [
        ast.parse(code) for language, code in blocks(page.read_text(encoding="utf-8")) if language == "python"
    ]
    names = {node.attr for tree in trees for node in ast.walk(tree) if _of_the_door(node)}
    assert sorted(name for name in names if not hasattr(hsi_cd, name)) == []


def _of_the_door(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hc"


@pytest.fixture
def brief_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings whose length nobody asked for end after a fraction of the usual steps."""
    monkeypatch.setattr("hsi_cd.config.run_config.FEWEST_STEPS", 20)
    monkeypatch.setattr("hsi_cd.config.run_config.MOST_STEPS", 30)


@pytest.mark.usefixtures("brief_training")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of figures that nobody sees
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.quick("map")
def test_the_cells_of_a_notebook_run(
    notebook: Path, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, with a command in place of its process, and brief trainings; as a kernel does it: below."""

    def command(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert words[:3] == [sys.executable, "-m", "hsi_cd"]
        return subprocess.CompletedProcess(words, cli(*words[3:]))

    monkeypatch.setattr(subprocess, "run", command)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["source"]]
    told: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{notebook.name}[{number}]", "exec"), told)
    assert "hc" in told
    told["plt"].close("all")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path) -> None:
    """In a process of its own: a kernel's warnings are not ours."""
    command = [sys.executable, ROOT / "scripts" / "docs" / "run_notebooks.py", notebook.stem]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# --- The site ---


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built with --strict: a broken link, anchor or reference ends it; test.sh has built it."""
    if "HSI_CD_SITE" in os.environ:
        return Path(os.environ["HSI_CD_SITE"])
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_asks_no_other_host(site: Path) -> None:
    asked = re.compile(
        r"""<(?:script|img|iframe|source|link(?=[^>]*stylesheet))[^>]*(?:src|href)=["']?(?:https?:)?//"""
    )
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    assert [page.name for page in pages if asked.search(page.read_text(encoding="utf-8"))] == []
    styles = list(site.rglob("*.css"))
    assert [
        style.name for style in styles if re.search(r"(url\(|@import )[\"']?(https?:)?//", style.read_text())
    ] == []


def test_every_command_has_its_page_with_all_its_options(site: Path) -> None:
    context = click.Context(group, info_name="hsi-cd")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        page = (site / "commands" / f"{name}.html").read_text(encoding="utf-8")
        shown = [option for p in command.params if not getattr(p, "hidden", False) for option in p.opts]
        assert [option for option in shown if option.startswith("--") and option not in page] == []


def test_pages_show_what_they_describe(site: Path) -> None:
    """Methods by name, settings with their defaults, docstrings without markup of roles."""
    methods = (site / "methods.html").read_text(encoding="utf-8")
    assert "self-trained" in methods and "<!-- hsi-cd" not in methods
    assert "min_steps" in (site / "settings.html").read_text(encoding="utf-8")
    assert "--8&lt;--" not in (site / "settings.html").read_text(encoding="utf-8")
    reference = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html"))
    assert "ScenePair" in reference
    assert re.findall(r":(?:class|func|data):<code>", reference) == []
    for notebook in NOTEBOOKS:
        assert "hc.open_pair" in re.sub(r"<[^>]+>", "", (site / "notebooks" / f"{notebook.stem}.html").read_text())


def test_every_table_of_results_is_named_by_a_page_and_tells_no_run_twice() -> None:
    """A row that stands twice counts twice in a mean."""
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    tables = sorted((ROOT / "data" / "results").glob("*.csv"))
    assert tables
    for table in tables:
        assert f"data/results/{table.name}" in pages, f"no page names {table.name}"
        rows = table.read_text().splitlines()
        twice = {row for row in rows if rows.count(row) > 1}
        assert not twice, f"{table.name}: {len(twice)} rows stand twice"
