"""A page for each notebook: its text, its code, and the outputs that are stored in it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def pages(folder: Path) -> list[tuple[str, str, str | bytes]]:
    """Path in the site, name in the navigation, and content: of the pages, and of the pictures on them."""
    made: list[tuple[str, str, str | bytes]] = []
    for path in sorted(folder.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        pictures: dict[str, bytes] = {}
        parts = [_cell(cell, path.stem, pictures) for cell in notebook["cells"]]
        first = parts[0].lstrip("# ").splitlines()[0]
        parts.insert(1, f"[This page as a notebook]({path.name}){{ download }}")
        made.append((f"notebooks/{path.stem}.md", first, "\n\n".join(parts) + "\n"))
        made += [(f"notebooks/{name}", name, content) for name, content in pictures.items()]
    return made


def _cell(cell: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
    source = _text(cell["source"])
    if cell["cell_type"] != "code":
        return source
    return "\n\n".join(
        ["```python\n" + source + "\n```", *(_output(output, stem, pictures) for output in cell["outputs"])]
    )


def _output(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
    """The richest form of an output that a page can show."""
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode(_text(data["image/png"]))
        return f"![What the cell above draws]({name})"
    if "text/html" in data:
        return '<div class="notebook-output">\n' + _text(data["text/html"]) + "\n</div>"
    told = _text(output.get("text", data.get("text/plain", ""))).rstrip()
    return f"```text\n{told}\n```" if told else ""


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)
