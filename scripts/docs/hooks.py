"""What mkdocs calls while it builds: pages that are made from what they describe, so that none is copied by hand.

A page for each command, from the command itself; a page of reference for the door and for each package with public
names; a page for each notebook in docs/notebooks/. The pictures of data/ are taken in as they are.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|obj|exc):<code>~?([^<]+)</code>")
DEVIATION = re.compile(r"-?\d[\d.]* \+- \d[\d.]*")
PRINTED = re.compile(r"<!-- hsi-cd (.+?) -->")


def _neighbour(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"hsi_cd_docs_{name}", Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"scripts/docs/{name}.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the pages, and put them into the empty sections of the navigation."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    made = {
        "Notebooks": _neighbour("notebook_pages").pages(ROOT / "docs" / "notebooks"),
        "Commands": _neighbour("command_pages").pages(),
        "Python reference": _neighbour("reference_pages").pages(ROOT),
    }
    config.extra["made"] = {path: content for part in made.values() for path, _, content in part}
    for section in config.nav or []:
        for title in section:
            if title in made:
                section[title] = [{name: path} for path, name, _ in made[title] if path.endswith(".md")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that were made, and the pictures that README and pages share."""
    made: dict[str, Any] = config.extra.pop("made")
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    for picture in sorted((ROOT / "data").glob("*.png")):
        files.append(File.generated(config, f"data/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Pictures lie beside docs/ in the project, where a code host finds them, and inside the site.

    A comment that names a command, as <!-- hsi-cd methods -->, makes room for what the command prints.
    """
    markdown = PRINTED.sub(lambda found: f"```text\n{_printed(found[1].split())}\n```", markdown)
    return re.sub(r"\]\((?:\.\./)+data/", "](" + "../" * page.file.src_uri.count("/") + "data/", markdown)


def on_page_content(html: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Docstrings name code by roles, as :func:`name`; on a page the name alone is enough.

    A mean and its deviation stay on one line, in however narrow a table.
    """
    return DEVIATION.sub(r'<span class="figure">\g<0></span>', ROLE.sub(r"<code>\1</code>", html))


def _printed(arguments: list[str]) -> str:
    from click.testing import CliRunner

    from hsi_cd.cli.main import cli

    done = CliRunner().invoke(cli, arguments)
    if done.exit_code:
        raise RuntimeError(f"hsi-cd {' '.join(arguments)}: {done.output or done.exception}")
    return done.output.rstrip()
