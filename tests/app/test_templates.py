"""Tests of the settings of HTML templates."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from app.templates import open_templates


def test_values_are_escaped_and_unknown_names_fail(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ title }}</p>")
    page = open_templates(tmp_path).get_template("page.html")
    assert page.render(title="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        page.render(titel="Lamps")
