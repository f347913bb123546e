"""The recipe for a new reader in CONTRIBUTING.md works as it is written: one module and one row."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.app.cli.commands import environment

ROOT = Path(__file__).parents[2]
READERS = "pipelines/readers"
PROGRAM = "from app.cli import main; main(prog_name='ibid')"
PAGE = """= The lamp

It burns paraffin.

== Fuel

A full tank lasts
twelve hours.
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with links to all code, except for a copy of the readers."""
    root = tmp_path / "code"
    (root / "pipelines").mkdir(parents=True)
    linked = ["app", "storage", *(f"pipelines/{p.name}" for p in ROOT.glob("pipelines/[!_.]*"))]
    for name in (*linked, "pipelines/__init__.py"):
        if name != READERS:
            (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / READERS, root / READERS)
    return root


def read_recipe() -> tuple[str, str, str]:
    """Return the path of the new module, its code and the new row."""
    text = (ROOT / ".github/CONTRIBUTING.md").read_text()
    recipe = text.partition("## Add a reader")[2].partition("\n## ")[0]
    module, row = map(dedent, re.findall(r" *```python\n(.*?) *```", recipe, re.DOTALL))
    (name,) = re.findall(rf"a module `(\w+)` in `{READERS}`", " ".join(recipe.split()))
    return f"{READERS}/{name}.py", module, row


def run(code: Path, home: Path, *words: str) -> str:
    """Run `ibid` with the copy of the readers and return its output."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *words],
        env=environment(home) | {"PYTHONPATH": str(code)},
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_the_recipe_for_a_reader(code: Path, tmp_path: Path) -> None:
    name, module, row = read_recipe()
    (code / name).write_text(module)
    registry = code / READERS / "registry.py"
    before, start, rows = registry.read_text().partition("FORMATS = (\n")
    assert start
    registry.write_text(f"{before}{start}    {row.strip()},\n{rows}")
    page = tmp_path / "docs/lamp.adoc"
    page.parent.mkdir()
    page.write_text(PAGE)
    home = tmp_path / "home"
    assert "AsciiDoc" in run(code, home, "ingest", "--help")
    address = ("--base-url", "https://docs.example.com")
    assert "1 added" in run(code, home, "ingest", str(page.parent), *address)
    found = run(code, home, "search", "How long does a full tank last?")
    assert "A full tank lasts twelve hours." in found
    assert "https://docs.example.com/lamp.adoc#fuel" in found
