"""Temporary homes that exist for one command."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.cli.runtime import EXIT_MISUSED, fail, load_settings
from app.settings import Settings
from storage.index.embedded.files import is_locked
from storage.system_folders import ensure_temporary_folder, has_temporary_folder

_ENGINE_EXIT_SECONDS = 10.0


@contextmanager
def temporary_folder() -> Generator[Path]:
    """Create a temporary folder, and remove it once the embedded engine's process has released it.

    That process may outlive the work by a moment.
    """
    home = load_settings().ibid_home
    ensure_temporary_folder(home)
    if not has_temporary_folder():
        fail(
            f"No folder for temporary files is writable, not even {home}: set TMPDIR.", EXIT_MISUSED
        )
    with TemporaryDirectory(prefix="ibid-eval-", ignore_cleanup_errors=True) as path:
        folder = Path(path).resolve()
        try:
            yield folder
        finally:
            index, give_up = folder / "home/index", time.monotonic() + _ENGINE_EXIT_SECONDS
            while index.is_dir() and is_locked(index) and time.monotonic() < give_up:
                time.sleep(0.02)


def isolated_settings(home: Path) -> Settings:
    """Return the configured settings with a temporary home and no external databases."""
    away = {"ibid_home": home / "home", "database_url": None, "qdrant_url": None}
    return load_settings().model_copy(update=away)
