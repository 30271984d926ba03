"""Run the notebooks of docs/notebooks/, each in an empty folder; --write keeps what they show for the pages."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks without their ending [default: all]")
    parser.add_argument("--write", action="store_true", help="store the outputs in the notebooks")
    arguments = parser.parse_args()
    for name in arguments.names or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        path = FOLDER / f"{name}.ipynb"
        started = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            place = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=600, resources=place).execute()
        print(f"{name}: {time.perf_counter() - started:.0f} s")
        if arguments.write:
            for cell in notebook.cells:
                cell.get("metadata", {}).pop("execution", None)  # times of day, which would differ every time
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
