"""Every route there is, as everybody, while a corpus is open, closed, deleted and made anew.

A new route needs a row in `ROUTES`, which says how it is called and what it may tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services
from tests.app.api.calls import API, JSON, Client
from tests.app.api.uploads import upload_files, wait_for_upload
from tests.doubles.issuer import Issuer
from tests.library import write_docs

SECRET = "Quicksilver"
"""Stands in texts, titles, headings and names of files."""
FOLDER = "Backstairs"
"""Stands in the path that the files were ingested from: for admins alone."""
QUESTION = "How many litres does the pump burn an hour?"
UNANSWERED = "Who won the chess championship in 1972?"
STREAM = {"accept": "text/event-stream"}

Tells = Literal["corpus", "answers", "jobs", "nothing"]
"""What of the closed corpus: itself, what was said of it to who asks, the jobs that filled it."""


@dataclass(frozen=True)
class Route:
    """How a route is called, and what its answer tells to those who may know."""

    method: str
    path: str
    tells: Tells
    calls: tuple[JSON, ...] = ({},)
    """Arguments of the requests to send."""
    is_fresh: bool = False
    """It goes to a conversation of this moment, not to the one that was held while all was open."""

    @property
    def changes(self) -> bool:
        """Whether it would change what others see, done by one who may."""
        is_talk = self.path.startswith((f"{API}/conversations", f"{API}/messages", f"{API}/ask"))
        return self.method != "GET" and not is_talk

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


CONVERSATION = f"{API}/conversations/{{conversation_id}}"
MESSAGE = f"{CONVERSATION}/messages/{{message_id}}"
ROUTES = [
    Route("GET", "/health/live", "nothing"),
    Route("GET", "/health/ready", "nothing", ({}, {"params": {"database": "true"}})),
    Route("GET", f"{API}/corpora", "nothing"),
    Route("POST", f"{API}/corpora", "nothing", ({"json": {"name": "vault"}},)),
    Route("PUT", f"{API}/corpora/{{name}}/readers", "nothing", ({"json": {"readers": None}},)),
    Route("PUT", f"{API}/corpora/{{name}}/peer-review", "nothing", ({"json": {"weight": 0.5}},)),
    Route("DELETE", f"{API}/corpora/{{name}}", "nothing"),
    Route("GET", f"{API}/search", "corpus", ({"params": {"q": QUESTION, "k": "100"}},)),
    Route("GET", f"{API}/passages/{{passage_id}}", "corpus"),
    Route("GET", f"{API}/sources", "corpus", ({}, {"params": {"corpus": "vault"}})),
    Route("POST", f"{API}/sources", "nothing", (
        {"files": [("files", ("plan.md", b"# Plan"))], "data": {"corpus": "vault"}},
    )),
    Route("GET", f"{API}/sources/{{source_id}}", "corpus"),
    Route("DELETE", f"{API}/sources/{{source_id}}", "nothing"),
    Route("GET", f"{API}/sources/{{sent_id}}/original", "corpus"),
    Route("GET", f"{API}/sources/{{source_id}}/text", "corpus", ({}, {"params": {"version": 1}})),
    Route("GET", f"{API}/jobs", "jobs"),
    Route("GET", f"{API}/jobs/{{job_id}}", "jobs", ({}, {"headers": STREAM})),
    Route("DELETE", f"{API}/jobs/{{job_id}}", "nothing"),
    Route("GET", f"{API}/releases", "nothing"),
    Route("POST", f"{API}/releases", "nothing"),
    Route("GET", f"{API}/usage", "nothing"),
    Route("GET", f"{API}/gaps", "answers"),
    Route("GET", f"{API}/messages/{{message_id}}/html", "answers"),
    Route("GET", f"{API}/messages/{{message_id}}/citations", "answers", (
        *({"params": {"format": form}} for form in ("markdown", "csl-json", "bibtex")),
    )),
    Route("POST", f"{API}/conversations", "nothing"),
    Route("GET", f"{API}/conversations", "nothing", ({}, {"params": {"q": SECRET}})),
    Route("GET", CONVERSATION, "answers"),
    Route("GET", f"{CONVERSATION}/export", "answers", (
        *({"params": {"format": form}} for form in ("json", "markdown")),
    )),
    Route("PATCH", CONVERSATION, "answers", ({"json": {"title": "Mine"}},)),
    Route("PUT", f"{MESSAGE}/feedback", "nothing", ({"json": {"rating": "up", "claim": 0}},)),
    Route("POST", f"{CONVERSATION}/messages", "corpus", (
        {"json": {"text": QUESTION, "corpora": ["vault"]}},
        {"json": {"text": QUESTION}, "headers": STREAM},
    ), is_fresh=True),
    Route("POST", f"{API}/ask", "corpus", (
        {"json": {"text": QUESTION, "corpora": ["vault"]}},
        {"json": {"text": QUESTION}, "headers": STREAM},
    )),
    Route("POST", f"{MESSAGE}/regenerate", "corpus", ({"headers": STREAM},), is_fresh=True),
    Route("DELETE", CONVERSATION, "nothing", is_fresh=True),
]  # fmt: skip


@dataclass
class Person:
    """Somebody who calls, the conversation they hold, and what they may know just now."""

    name: str
    headers: dict[str, str]
    knows: set[Tells] = field(default_factory=set[Tells])
    held: dict[str, str] = field(default_factory=dict[str, str])
    asks: bool = True
    is_trusted: bool = False
    """May change the closed corpus: is not let try to."""


def write_vault(folder: Path) -> Path:
    folder.mkdir(parents=True)
    text = f"# The {SECRET} pump\n\n## {SECRET}\n\nThe {SECRET} pump burns nine litres an hour.\n"
    (folder / f"{SECRET}.md").write_text(text)
    return folder


class RouteWalk:
    """The API with a public manual and a closed corpus, and everybody who calls it."""

    def __init__(self, client: Client, issuer: Issuer, folder: Path) -> None:
        self.client, self.issuer, self.folder = client, issuer, folder
        self.services: Services = client.app.state.services
        self.call(self.services.ingestion.run, [write_docs(folder / "docs")], "manual")
        self.call(self.services.ingestion.run, [write_vault(folder / FOLDER)], "vault")
        self.call(self.services.library.set_readers, "vault", ["user:ada", "group:staff"])
        for name, role in (("sue", "editor"), ("eddy", "editor"), ("root", "admin")):
            self.call(self.services.people.set_role, name, role)
        key = self.call(self.services.people.create_key, "ci", ["ingest"], None)
        staff = issuer.token("sue", groups=["staff"])
        self.people = {
            "stranger": Person("stranger", {}, asks=False),
            "eve": self.person("eve"),
            "eddy": self.person("eddy"),
            "ci": Person("ci", {"authorization": f"Bearer {key}"}, asks=False),
            "ada": self.person("ada", "corpus", "answers"),
            "sue": Person(
                "sue", {"authorization": f"Bearer {staff}"}, {"corpus", "answers", "jobs"}
            ),
            "root": self.person("root", "corpus", "answers", "jobs"),
        }
        self.people["sue"].is_trusted = self.people["root"].is_trusted = True
        self.ids = self.fill()
        for person in self.people.values():
            if person.asks:
                person.held = self.converse(person)

    def call(self, work: Any, *arguments: Any) -> Any:
        return self.client.blocking_portal.call(work, *arguments)

    def person(self, name: str, *knows: Tells) -> Person:
        return Person(name, {"authorization": f"Bearer {self.issuer.token(name)}"}, {*knows})

    def fill(self) -> dict[str, str]:
        """An upload, of which one file fails; and the ids of what there is."""
        self.client.headers.update(self.people["sue"].headers)
        files = {f"{SECRET}-notes.md": f"# {SECRET} notes\n\nNine.", f"{SECRET}-empty.md": ""}
        job = wait_for_upload(self.client, upload_files(self.client, files, corpus="vault"))
        assert [failure["path"] for failure in job["failures"]] == [f"{SECRET}-empty.md"]
        self.client.headers.pop("authorization")
        sources = self.call(self.services.library.sources, ["vault"])
        by_kind = {source.root is None: str(source.id) for source in sources}
        passages = self.call(self.services.search.passages, SearchRequest(QUESTION, ["vault"]))
        return {
            "name": "vault",
            "job_id": job["id"],
            "source_id": by_kind[False],
            "sent_id": by_kind[True],
            "passage_id": str(passages[0].id),
        }

    def converse(self, person: Person) -> dict[str, str]:
        """A conversation of a question that is answered and, of the corpora open to them, one that is not."""
        begun = self.client.post(f"{API}/conversations", headers=person.headers).json()["id"]
        corpora = ["vault"] if "corpus" in person.knows else ["manual"]
        path, answers = f"{API}/conversations/{begun}/messages", list[JSON]()
        for text in (QUESTION, UNANSWERED):
            body = {"text": text, "corpora": corpora}
            answer = self.client.post(path, json=body, headers=person.headers)
            assert answer.status_code == 201, answer.text
            answers.append(answer.json())
        return {"conversation_id": begun, "message_id": answers[0]["message_id"]}

    def response_text(self, person: Person, route: Route, ids: dict[str, str]) -> str:
        """All that one hears from a route: status, headers, body, frames."""
        heard: list[str] = []
        for arguments in route.calls:
            headers = {**arguments.get("headers", {}), **person.headers}
            path = route.path.format(**ids)
            response = self.client.request(route.method, path, **arguments | {"headers": headers})
            assert response.status_code < 500, (person.name, route.name, response.text)
            if person.name == "stranger" and not path.startswith("/health"):
                assert response.status_code == 401
            heard.append(f"{response.status_code} {dict(response.headers)} {response.text}")
        return "\n".join(heard)

    def check(self, *, try_changes: bool) -> None:
        """Everybody hears what they may know, by each way to it, and nothing else."""
        for person in self.people.values():
            nobodys = {name: str(uuid4()) for name in ("conversation_id", "message_id")}
            anothers = self.people["ada" if person.name != "ada" else "sue"].held
            fresh = self.converse_shortly(person) if person.asks else nobodys
            for route in ROUTES:
                if route.changes and (person.is_trusted or not try_changes):
                    continue
                own = fresh if route.is_fresh else person.held or nobodys
                heard = self.response_text(person, route, self.ids | own)
                tells = route.tells in person.knows
                assert (SECRET in heard) == tells, (person.name, route.name, heard[:2000])
                if person.name != "root":
                    assert FOLDER not in heard, (person.name, route.name)
                elif route.path == f"{API}/sources" and tells:
                    assert FOLDER in heard
                if "conversation_id" in route.path or "message_id" in route.path:
                    heard = self.response_text(person, route, self.ids | anothers)
                    assert SECRET not in heard, (person.name, route.name)

    def converse_shortly(self, person: Person) -> dict[str, str]:
        begun = self.client.post(f"{API}/conversations", headers=person.headers).json()["id"]
        path = f"{API}/conversations/{begun}/messages"
        answer = self.client.post(path, json={"text": QUESTION}, headers=person.headers)
        return {"conversation_id": begun, "message_id": answer.json()["message_id"]}


@pytest.fixture
def walk(tmp_path: Path, issuer: Issuer) -> Iterator[RouteWalk]:
    settings = Settings(
        ibid_home=tmp_path / "home", **issuer.settings(), rate_limit=100_000, allowed_hosts="*"
    )
    with TestClient(create_app(settings)) as client:
        yield RouteWalk(client, issuer, tmp_path)


def test_every_route_has_its_row(tmp_path: Path) -> None:
    paths = create_app(Settings(ibid_home=tmp_path)).openapi_schema.to_schema()["paths"]
    there = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    rows = {(route.method, route.path.replace("sent_id", "source_id")) for route in ROUTES}
    assert there == rows


@pytest.mark.slow
def test_no_route_tells_what_is_hidden(walk: RouteWalk) -> None:
    ada, sue, root = (walk.people[name] for name in ("ada", "sue", "root"))
    walk.check(try_changes=True)

    walk.call(walk.services.library.set_readers, "vault", ["group:staff"])
    ada.knows.clear()
    walk.check(try_changes=True)

    inside = sue.headers
    sue.headers = {"authorization": f"Bearer {walk.issuer.token('sue', groups=['sales'])}"}
    sue.knows = {"jobs"}  # it was she who sent the files
    walk.check(try_changes=False)
    sue.headers, sue.knows = inside, {"corpus", "answers", "jobs"}

    walk.call(walk.services.library.delete, "vault")
    sue.knows, root.knows = {"answers", "jobs"}, {"answers", "jobs"}
    walk.check(try_changes=False)

    plain = walk.folder / "plain"
    plain.mkdir()
    (plain / "pump.md").write_text("# The pump\n\nThe new pump burns two litres an hour.\n")
    walk.call(walk.services.ingestion.run, [plain], "vault")
    for readers in (["user:ada"], None):
        walk.call(walk.services.library.set_readers, "vault", readers)
        walk.check(try_changes=False)
