"""What other packages bring, by name: imported where the user wrote the name, and refused where a file did."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from hsi_cd import plugins
from hsi_cd.errors import CheckpointError, ConfigError

MODULES = {
    "plug_good": "class Net:\n    class Inner:\n        pass\n",
    "plug_needs": "import plug_absent_dependency\n",
    "plug_breaks": "raise RuntimeError('two\\nlines')\n",
    "plug_leaves": "import sys\nsys.exit(3)\n",
    "plug_syntax": "def (\n",
    "plug_package/__init__": "",
    "plug_package/inner": "import plug_good\nclass Net(plug_good.Net):\n    pass\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with modules in it, which the rest of the tests does not see."""
    for name, text in MODULES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["plug_good:Net", "plug_good:Net.Inner", "plug_package.inner:Net"])
def test_the_current_directory_is_searched(name: str) -> None:
    assert plugins.load_named(name, kind="backbone").__name__ == name.rpartition(":")[2].rpartition(".")[2]


def test_what_is_installed_comes_before_the_current_directory(folder: Path) -> None:
    (folder / "colorsys.py").write_text("raise RuntimeError('not this one')\n")
    sys.modules.pop("colorsys", None)
    assert callable(plugins.load_named("colorsys:rgb_to_hsv", kind="method"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plug_good", r"^backbone 'plug_good' is no name of the form module:Class"),
        ("plug_good:", "is no name of the form"),
        ("../plug_good:Net", "is no name of the form"),
        ("plug_absent:Net", r"^backbone plug_absent:Net: there is no module plug_absent: install"),
        ("plug_package.absent:Net", "there is no module plug_package.absent"),
        ("plug_good:Nett", r"plug_good has no Nett: did you mean Net\?"),
        ("plug_good:Net.Other", "plug_good has no Net.Other"),
        ("plug_needs:Net", "plug_needs needs the module plug_absent_dependency, which is not installed"),
        ("plug_breaks:Net", r"importing plug_breaks failed \(RuntimeError: two lines\)"),
        ("plug_leaves:Net", r"importing plug_leaves failed \(SystemExit: 3\)"),
        ("plug_syntax:Net", r"importing plug_syntax failed \(SyntaxError: "),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plugins.load_named(name, kind="backbone")
    assert "\n" not in str(caught.value)


def test_a_file_imports_nothing_by_itself() -> None:
    with pytest.raises(CheckpointError, match=r"needs the backbone plug_good:Net, .* import plug_good first"):
        plugins.load_trusted("plug_good:Net", kind="backbone")
    assert "plug_good" not in sys.modules


@pytest.mark.parametrize("way", ["imported", "allowed module", "allowed name", "environment", "entry point"])
def test_a_file_has_what_the_user_vouched_for(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: tuple[str, ...] = ()
    if way == "imported":
        plugins.load_named("plug_good:Net", kind="backbone")
    elif way.startswith("allowed"):
        allowed = ("plug_good:Net" if way.endswith("name") else "plug_good",)
    elif way == "environment":
        monkeypatch.setenv(plugins.TRUSTED, "other, plug_good")
    else:
        enter(monkeypatch, "good", "plug_good:Net", group="hsi_cd.backbones")
    assert plugins.load_trusted("plug_good:Net", kind="backbone", allowed=allowed).__name__ == "Net"


def test_an_absent_module_of_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.TRUSTED, "plug_absent")
    with pytest.raises(CheckpointError, match=r"needs the backbone plug_absent:Net, .* no module plug_absent"):
        plugins.load_trusted("plug_absent:Net", kind="backbone")
    with pytest.raises(CheckpointError, match=r"is no name of the form module:Class"):
        plugins.load_trusted("plug_absent", kind="backbone")


def enter(monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, group: str) -> None:
    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints(entry for entry in entered if entry.group == group)

    entered = [EntryPoint(name, value, group)]
    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)


def test_packages_enter_what_they_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugins.entries("method") == {} and plugins.entries("nothing of that kind") == {}
    enter(monkeypatch, "mine", "plug_absent : Net [extra]", group="hsi_cd.methods")
    assert plugins.entries("method") == {"mine": "plug_absent:Net"}  # nothing is imported
    assert plugins.entries("backbone") == {}
