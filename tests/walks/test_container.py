"""A read-only root, a user without an account or a home, and nowhere to write but `IBID_HOME`."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import container
from tests.app.api.calls import API, FUEL
from tests.app.api.uploads import archive, search, upload_files, wait_for_upload
from tests.app.cli.commands import run_script
from tests.app.cli.test_serve import run_server
from tests.library import PAGES, write_docs
from tests.pipelines.pdfs import Words, build_pdf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PAGE_OF_TIDES = build_pdf(
    [Words("The tide at Skerry Point rises by four metres at new moon.", 72, 700)]
)
LONG = "# Log\n\n" + "The keeper wrote down the weather of the day once more.\n" * 40_000
"""More than is kept in memory while it is received."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The only folder that can be written to."""
    home = tmp_path / "home"
    home.mkdir()
    if not container.is_possible(home):
        pytest.skip("this system allows no user namespaces")
    yield home
    assert list((home / "tmp").glob("*")) == [], "temporary files go when they are done with"


def run_in_container(home: Path, *arguments: str | Path) -> CompletedProcess[str]:
    return run_script(home, *arguments, prefix=container.container_prefix(home))


def test_everything_that_is_sent_is_read_and_asked_for(home: Path) -> None:
    with run_server(home, "--workers", "2", prefix=container.container_prefix(home)) as (_, client):
        assert "<title>Ibid</title>" in client.get("/").text
        files: dict[str, str | bytes] = {"tides.pdf": PAGE_OF_TIDES, "all.zip": archive(PAGES)}
        job = wait_for_upload(client, upload_files(client, files), 120)
        assert (job["status"], job["failures"]) == ("done", []), job
        assert job["report"]["added"] == len(PAGES) + 1
        assert (
            wait_for_upload(client, upload_files(client, {"log.txt": LONG}, corpus="log"), 120)[
                "status"
            ]
            == "done"
        )
        assert "four metres" in search(client, "tide at new moon")[0]["text"]
        conversation = client.post(f"{API}/conversations").json()["id"]
        path = f"{API}/conversations/{conversation}/messages"
        assert "2.4 litres" in client.post(path, json={"text": FUEL}).json()["text"]
        built = wait_for_upload(client, client.post(f"{API}/releases"), 120)
        assert built["status"] == "done", built
        again = run_in_container(home, "reindex", "--from-sources")
        assert again.returncode == 0, again.stderr
        assert "four metres" in search(client, "tide at new moon")[0]["text"]


def test_every_command_works(home: Path) -> None:
    examined = run_in_container(home, "doctor")
    assert examined.returncode == 0, examined.stdout
    assert f"temporary files: they are written to {home / 'tmp'}" in examined.stdout
    assert "A citation is the link" in run_in_container(home, "demo").stdout
    assert run_in_container(home, "ingest", write_docs(home / "docs")).returncode == 0
    assert "2.4 litres" in run_in_container(home, "ask", FUEL).stdout
    labelled = {"supported": "The lamp is lit.", "unsupported": "The horn sounds at noon."}
    claims = [
        {"claim": claim, "evidence": "The lamp is lit.", "label": label}
        for label, claim in labelled.items()
    ]
    (home / "claims.jsonl").write_text("\n".join(map(json.dumps, claims)))
    judged = run_in_container(home, "eval", "claims", home / "claims.jsonl")
    assert judged.returncode == 0, judged.stderr


def test_what_a_killed_process_left_goes_after_a_week(home: Path) -> None:
    for name, days in (("old", 8), ("new", 6)):
        folder = home / "tmp" / name
        (folder / "below").mkdir(parents=True)
        at = time.time() - days * 24 * 60 * 60
        os.utime(folder, (at, at))
    assert run_in_container(home, "search", "lamp").returncode == 2
    assert [path.name for path in (home / "tmp").iterdir()] == ["new"]
    (home / "tmp/new/below").rmdir()
    (home / "tmp/new").rmdir()


def test_a_home_that_cannot_be_written_to_is_told(home: Path) -> None:
    nowhere = home.parent / "nowhere"
    examined = run_script(nowhere, "doctor", prefix=container.container_prefix(home))
    assert examined.returncode == 1
    assert f"FAIL  home: {nowhere} cannot be written to" in examined.stdout
    assert "FAIL  temporary files" in examined.stdout
    refused = run_script(nowhere, "ingest", home, prefix=container.container_prefix(home))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
