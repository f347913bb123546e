"""Tests of uploads over REST: a job ingests them; sources can then be opened, replaced and removed."""

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from httpx_sse import connect_sse
from litestar.testing import TestClient

from app.api import create_app
from app.wiring import Services
from tests.app.api.calls import API, Client, assert_problem
from tests.app.api.conftest import local
from tests.app.api.uploads import archive, search, upload_files, wait_for_upload
from tests.library import PAGES, write_docs

BEES = "# Bees\n\n## Honey\n\nThe hive behind the lighthouse gave nine jars of honey.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    """An API without sources, which limits uploads to 300 kB, and to 40 MB when unpacked."""
    settings = local(
        folder,
        allowed_hosts="*",
        upload_limit=300_000,
        upload_unpacked_limit=40_000_000,
        upload_files_limit=250,
    )
    with TestClient(create_app(settings)) as client:
        yield client


def originals(folder: Path) -> list[str]:
    kept = folder / "home/blobs/originals"
    return sorted(path.name for path in kept.iterdir()) if kept.exists() else []


def incoming(folder: Path) -> list[Path]:
    kept = folder / "home/blobs/incoming"
    return list(kept.iterdir()) if kept.exists() else []


def sources(client: Client, corpus: str) -> dict[str, str]:
    answer = client.get(f"{API}/sources", params={"corpus": corpus}).json()
    return {source["location"]: source["id"] for source in answer["sources"]}


def test_what_is_sent_is_found_and_its_link_opens_it(client: Client, folder: Path) -> None:
    job = wait_for_upload(client, upload_files(client, {"bees.md": BEES}, corpus="bees"))
    assert (job["status"], job["report"]["added"]) == ("done", 1), job
    passage = search(client, "how many jars of honey", corpus="bees")[0]
    assert "nine jars" in passage["text"]
    opened = client.get(passage["url"])
    assert opened.text == BEES
    assert opened.headers["content-type"].startswith("text/plain")
    assert "sandbox" in opened.headers["content-security-policy"]
    assert incoming(folder) == []


def test_the_same_name_again_replaces_it(client: Client) -> None:
    first = wait_for_upload(
        client, upload_files(client, {"log.md": "# Log\n\nSix gulls."}, corpus="log")
    )
    again = wait_for_upload(
        client, upload_files(client, {"log.md": "# Log\n\nSix gulls."}, corpus="log")
    )
    second = wait_for_upload(
        client, upload_files(client, {"log.md": "# Log\n\nSeven gulls."}, corpus="log")
    )
    assert first["report"]["added"] == again["report"]["unchanged"] == 1
    assert second["report"]["changed"] == 1
    (passage,) = search(client, "gulls", corpus="log")
    assert "Seven" in passage["text"]
    assert "Seven" in client.get(passage["url"]).text


def test_a_page_sent_with_its_folder_is_linked_on_the_site(client: Client) -> None:
    fields = {"corpus": "site", "base_url": "https://skerry.example/docs/"}
    wait_for_upload(client, upload_files(client, {"guide/01-bees.md": BEES}, **fields))
    passage = search(client, "jars of honey", corpus="site")[0]
    assert passage["url"] == "https://skerry.example/docs/guide/bees#honey"


def test_an_archive_is_unpacked(client: Client) -> None:
    packed = archive({**PAGES, "logo.png": b"\x89PNG", ".git/x.md": "# No", "_draft.md": "# No"})
    job = wait_for_upload(client, upload_files(client, {"site.zip": packed}, corpus="packed"))
    assert job["report"]["added"] == len(PAGES)
    assert set(sources(client, "packed")) == {f"upload:/{name}" for name in PAGES}


def test_a_folder_never_prunes_uploads(client: Client, tmp_path: Path) -> None:
    wait_for_upload(client, upload_files(client, {"bees.md": BEES}, corpus="mixed"))
    services: Services = client.app.state.services
    docs = write_docs(tmp_path / "docs")
    client.blocking_portal.call(services.ingestion.run, [docs], "mixed")
    (docs / "tides.txt").unlink()
    report = client.blocking_portal.call(services.ingestion.run, [docs], "mixed")
    assert report.removed == 1
    assert search(client, "jars of honey", corpus="mixed")
    assert_problem(
        client.get(f"{API}/sources/{sources(client, 'mixed')[str(docs / 'index.md')]}/original"),
        404,
        "uploaded",
    )


def test_a_source_that_is_removed_is_gone_with_its_blob(client: Client, folder: Path) -> None:
    wait_for_upload(client, upload_files(client, {"bees.md": BEES}, corpus="gone"))
    source = sources(client, "gone")["upload:/bees.md"]
    assert source in originals(folder)
    assert client.delete(f"{API}/sources/{source}").status_code == 204
    assert search(client, "jars of honey", corpus="gone") == []
    assert source not in originals(folder)
    assert client.get(f"{API}/sources/{source}").json()["removed_at"]
    assert_problem(client.get(f"{API}/sources/{source}/original"), 404)
    back = wait_for_upload(client, upload_files(client, {"bees.md": BEES}, corpus="gone"))
    assert back["report"]["added"] == 1
    assert client.delete(f"{API}/corpora/gone").status_code == 204
    assert source not in originals(folder)


def test_one_bad_file_costs_only_itself(client: Client, folder: Path) -> None:
    files = {
        "good.md": BEES,
        "empty.md": "",
        "bad.pdf": b"no pdf",
        "draft.md": "---\ndraft: true\n---\n# X",
    }
    job = wait_for_upload(client, upload_files(client, files, corpus="some"))
    assert job["status"] == "done"
    assert job["report"]["added"] == 1
    assert {failure["path"] for failure in job["failures"]} == {"empty.md", "bad.pdf", "draft.md"}
    assert job["report"]["failed"] == job["failures"]
    assert set(sources(client, "some")) == {"upload:/good.md"}


def test_two_hundred_files_are_one_job(client: Client) -> None:
    files = {f"{number}.txt": f"Page {number} speaks of beacon {number}." for number in range(200)}
    job = wait_for_upload(client, upload_files(client, files, corpus="many"))
    assert (job["done"], job["total"], job["report"]["added"]) == (200, 200, 200)


def test_a_job_can_be_watched_to_its_end(client: Client) -> None:
    job_id = upload_files(client, {"bees.md": BEES}, corpus="watched").json()["id"]
    with connect_sse(client, "GET", f"{API}/jobs/{job_id}") as source:
        events = list(source.iter_sse())
    assert [event.event for event in events[:-1]] == ["progress"] * (len(events) - 1)
    assert events[-1].event == "done"
    last = events[-1].json()
    assert (last["phase"], last["done"], last["total"]) == ("keeping", 1, 1)
    listed = client.get(f"{API}/jobs").json()["jobs"]
    assert listed[0] == last


def archive_with_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        info = zipfile.ZipInfo("passwords.txt")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.exe": b"MZ"}, "does not read"),
        ({"noending": b"x"}, "does not read"),
        ({"../a.md": "# A"}, "points outside"),
        ({"/etc/a.md": "# A"}, "points outside"),
        ({f"{'x' * 300}.md": "# A"}, "too long"),
        ({"a.zip": b"no archive"}, "a.zip: It is damaged"),
        ({"a.zip": archive({})}, "a.zip contains no file"),
        ({"a.zip": archive({"x.png": b"x"})}, "a.zip contains no file"),
        ({"a.zip": archive({"good.md": "# A", "../../a.md": "# A"})}, "points outside"),
        ({"a.zip": archive({"good.md": "# A", "..\\a.md": "# A"})}, "points outside"),
        ({"a.zip": archive({"/root/a.md": "# A"})}, "points outside"),
        ({"a.zip": archive({"C:/a.md": "# A"})}, "points outside"),
        ({"a.zip": archive({"a.md": "x" * 30_000_000})}, "a zip bomb"),
        ({"a.zip": archive_with_link()}, "symbolic link"),
        ({"a.zip": archive({"a.md": "# A"}), "a.md": "# B"}, "Two files"),
    ],
)
def test_what_must_not_be_read_is_refused_at_once(
    client: Client, folder: Path, files: dict[str, bytes], told: str
) -> None:
    before = client.get(f"{API}/jobs").json()
    assert_problem(upload_files(client, files, corpus="refused"), 400, told)
    assert client.get(f"{API}/jobs").json() == before
    assert incoming(folder) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"corpus": "a b"}, "not a valid corpus name"), ({"base_url": "ftp://x"}, "http")],
)
def test_fields_that_make_no_sense_are_refused(
    client: Client, fields: dict[str, str], told: str
) -> None:
    assert_problem(upload_files(client, {"a.md": BEES}, **fields), 400, told)


def test_a_form_without_a_file_is_refused(client: Client) -> None:
    fields = [("corpus", (None, b"default"))]
    assert_problem(client.post(f"{API}/sources", files=fields), 400, "No file")


def test_the_same_name_twice_is_refused(client: Client) -> None:
    twice = [("files", ("a.md", b"# A")), ("files", ("./a.md", b"# B"))]
    assert_problem(client.post(f"{API}/sources", files=twice), 400, "Two files")


def test_what_is_larger_than_an_upload_may_be_is_refused(client: Client, folder: Path) -> None:
    assert_problem(upload_files(client, {"a.txt": b"x" * 400_000}), 413)
    assert incoming(folder) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({f"{n}.zip": archive({f"{n}.md": "x" * 9_000_000}) for n in range(5)}, "40 MB, unpacked"),
        ({"a.zip": archive({f"{n}.md": "# A" for n in range(260)})}, "more than 250 files"),
        (
            {f"{n}.zip": archive({f"{n}.{m}.md": "x" for m in range(90)}) for n in range(3)},
            "250 files",
        ),
    ],
)
def test_archives_are_counted_together(
    client: Client, folder: Path, files: dict[str, bytes], told: str
) -> None:
    before = client.get(f"{API}/jobs").json()
    assert_problem(upload_files(client, files, corpus="refused"), 413, told)
    assert client.get(f"{API}/jobs").json() == before
    assert incoming(folder) == []


def test_jobs_that_are_not_there_are_problems(client: Client) -> None:
    nowhere = uuid4()
    assert_problem(client.get(f"{API}/jobs/{nowhere}"), 404, "no job")
    assert_problem(client.delete(f"{API}/jobs/{nowhere}"), 404, "no job")
    assert_problem(client.get(f"{API}/jobs?limit=0"), 400, "limit")
    headers = {"accept": "text/event-stream"}
    assert_problem(client.get(f"{API}/jobs/{nowhere}", headers=headers), 404, "no job")


def test_what_is_over_cannot_be_cancelled(client: Client) -> None:
    job = wait_for_upload(client, upload_files(client, {"bees.md": BEES}, corpus="over"))
    assert_problem(client.delete(f"{API}/jobs/{job['id']}"), 400, "done")
