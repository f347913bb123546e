"""Tests with a folder of real malformed files, if there is one: no crash, and a bounded time."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from app.wiring import Services
from pipelines.readers import UNSUPPORTED

FOLDER = Path(
    os.environ.get("IBID_MESSY") or Path(__file__).resolve().parents[3] / "shared" / "messy"
)
REFUSED = ("refused", "rejected", "zero text", "error")
SECONDS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (FOLDER / "manifest.jsonl").is_file(), reason="needs awkward files: set IBID_MESSY"
    ),
]


async def test_awkward_files_cost_only_themselves(services: Services) -> None:
    lines = (FOLDER / "manifest.jsonl").read_text().splitlines()
    manifest: dict[str, dict[str, Any]] = {entry["file"]: entry for entry in map(json.loads, lines)}
    started = time.monotonic()
    report = await services.ingestion.run([FOLDER / "files"])
    assert time.monotonic() - started < SECONDS
    reasons = {Path(failure.path).name: failure.reason for failure in report.failed}
    for name, reason in reasons.items():
        assert reason.endswith(".")
        expected = manifest[name]["expected"].lower()
        is_unread = Path(name).suffix in UNSUPPORTED
        is_refused = is_unread or any(word in expected for word in REFUSED)
        assert is_refused or manifest[name]["pymupdf"]["pages"] == 0
    assert report.added + len(reasons) == len(manifest), "each is read, or named with a reason"
    assert await services.search.passages("blacklisting traces whose side exits fail")
