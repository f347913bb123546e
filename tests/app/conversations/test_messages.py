"""Rows are read by repositories alone: a reader of messages cannot pass by what withholds."""

import re
from pathlib import Path

import app
import pipelines

ASKED_DIRECTLY = re.compile(r"\bsession\.\w+")


def test_services_ask_repositories_and_never_the_session_itself() -> None:
    """Import-linter sees to it that `storage.sql.repositories.messages` is imported in one place."""
    modules = [
        path for package in (app, pipelines) for path in Path(package.__path__[0]).rglob("*.py")
    ]
    assert len(modules) > 100
    assert [
        f"{path}: {found[0]}"
        for path in modules
        for found in ASKED_DIRECTLY.finditer(path.read_text(encoding="utf-8"))
    ] == []
