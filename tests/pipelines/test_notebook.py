"""Tests of notebooks: their Markdown, their code and its output."""

import json
from typing import Any

import pytest

from storage.errors import SourceUnreadable
from tests.pipelines.pages import code_of, outline, read_page


def cell(kind: str, source: str | list[str], **others: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {}, **others}


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def test_markdown_code_and_short_output() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["\x1b[31mlit\x1b[0m\n", "twice\n"]},
        {"output_type": "stream", "name": "stderr", "text": "a warning"},
        {"output_type": "execute_result", "data": {"text/plain": "42", "image/png": "iVBOR"}},
        {"output_type": "display_data", "data": {"text/plain": "<Figure size 640x480>"}},
        {"output_type": "stream", "name": "stdout", "text": "log\n" * 1000},
        {"output_type": "error", "traceback": ["Traceback"]},
    ]
    reading = read_page(
        notebook(
            cell("markdown", ["# Tides\n", "\n", "High *water*."]),
            cell("code", "lamp.on()\n", outputs=outputs),
            cell("raw", "for another program"),
            cell("markdown", "## Low water\n\nSix hours later."),
        ),
        "01-tides.ipynb",
    )
    assert reading.text == (
        "Tides\n\nHigh water.\n\nlamp.on()\n\nlit\ntwice\n\n42\n\nLow water\n\nSix hours later."
    )
    assert code_of(reading) == ["lamp.on()", "lit\ntwice", "42"]
    assert outline(reading) == [(("Tides",), None), (("Tides", "Low water"), None)]
    assert (reading.title, reading.route) == ("Tides", "01-tides.ipynb")


def test_a_fence_left_open_ends_with_its_cell() -> None:
    source = notebook(cell("markdown", "```\nlamp"), cell("markdown", "It shines."))
    assert code_of(read_page(source, "a.ipynb")) == ["lamp"]


def test_worksheets_of_old_notebooks() -> None:
    cells = [{"cell_type": "code", "input": ["print(1)"], "outputs": [{"text": ["1"]}]}]
    assert (
        read_page(json.dumps({"worksheets": [{"cells": cells}]}), "a.ipynb").text == "print(1)\n\n1"
    )


def test_half_a_character_is_replaced() -> None:
    assert read_page(notebook(cell("markdown", "a \ud800 b")), "a.ipynb").text == "a \ufffd b"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{", "its JSON is invalid"),
        ("[" * 200_000, "its JSON is invalid"),
        ("[]", "no list of cells"),
        ('{"cells": {}}', "no list of cells"),
        ('{"cells": [1, {"cell_type": "markdown", "source": 3}]}', "no text"),
    ],
)
def test_what_is_no_notebook_says_why(source: str, reason: str) -> None:
    with pytest.raises(SourceUnreadable, match=reason):
        read_page(source, "a.ipynb")


def test_a_nul_is_replaced() -> None:
    assert read_page(notebook(cell("markdown", "a \0 b")), "a.ipynb").text == "a \ufffd b"
