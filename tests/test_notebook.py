"""The notebook runs from its first cell to its last, and is committed as nobody ran it."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

import app

PATH = Path(app.__file__).parent / "notebooks/explore.ipynb"


@pytest.fixture(autouse=True)
def _no_home_but_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter and matplotlib write nothing into the home of whoever runs the tests."""
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


def code(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    for cell in code(notebook):
        assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.slow
async def test_every_cell_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(PATH, as_version=4)
    client = NotebookClient(
        notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    await client.async_execute()
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    shown = [output.data for output in outputs if "data" in output]
    assert any("image/png" in data for data in shown), "scores are plotted"
    answers = [data["text/html"] for data in shown if "text/html" in data]
    assert any("<blockquote>" in html for html in answers), "an answer shows its footnotes"
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "quotes checked against the canonical text" in printed
    assert "Warning" not in printed
