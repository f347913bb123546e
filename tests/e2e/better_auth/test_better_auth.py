"""A real Better Auth server signs people up, in and out; Ibid takes its tokens, and no others."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.testing import TestClient

from app.api import create_app
from app.wiring import Services
from tests.app.api.calls import API, FUEL, Client, assert_problem
from tests.app.api.conftest import local
from tests.e2e.docusaurus.test_docusaurus import run_npm
from tests.library import write_docs
from tests.postgres import Postgres, free_port

HERE = Path(__file__).parent
PACKAGE = (HERE / "package.json", HERE / "package-lock.json")
ROTATION = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are missing"),
]


@pytest.fixture(scope="module")
def installed() -> Path:
    """The server with what npm brings; kept between runs."""
    lock = hashlib.sha256(b"".join(path.read_bytes() for path in PACKAGE)).hexdigest()[:12]
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = caches / f"ibid-better-auth-{lock}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*PACKAGE, HERE / "server.mjs"):
        shutil.copy(path, folder)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        run_npm(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    url = postgres.create("people")
    postgres.sql("people", "create schema better_auth")
    return url


@contextmanager
def run_better_auth(
    folder: Path, database: str, url: str, port: int, life: str, algorithm: str = "EdDSA"
) -> Iterator[None]:
    process = subprocess.Popen(
        ["node", "server.mjs"],
        cwd=folder,
        env=os.environ
        | {
            "PORT": str(port),
            "DATABASE_URL": database,
            "BETTER_AUTH_URL": url,
            "BETTER_AUTH_SECRET": "a secret of at least thirty-two letters",
            "JWT_LIFE": life,
            "ROTATION": str(ROTATION),
            "ALGORITHM": algorithm,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        while not said or "listening" not in said[-1]:
            said.append(process.stdout.readline())
            assert process.poll() is None, said
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def url(installed: Path, database: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with run_better_auth(installed, database, url, port, "5m"):
        yield url


@pytest.fixture(scope="module")
def door(url: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Ibid on the same Postgres, told no more than the handbook says."""
    folder = tmp_path_factory.mktemp("people")
    settings = local(
        folder,
        database_url=database,
        auth="jwt",
        auth_jwks_url=f"{url}/api/auth/jwks",
        auth_issuer=url,
        auth_audience="ibid",
        auth_sessions="better_auth.session",
        rate_limit=10_000,
    )
    with TestClient(create_app(settings)) as client:
        services: Services = client.app.state.services
        client.blocking_portal.call(services.ingestion.run, [write_docs(folder / "docs")])
        yield client


class RegisteredUser:
    """Somebody with a browser: signed up, and with a token to hand on."""

    def __init__(self, browser: httpx.Client) -> None:
        self._browser = browser
        self.email, self.password = f"{uuid4().hex}@example.com", "correct horse"
        known = {"email": self.email, "password": self.password}
        self.id = self._post("/sign-up/email", known | {"name": "Ada"})["user"]["id"]

    def sign_in(self) -> None:
        self._post("/sign-in/email", {"email": self.email, "password": self.password})

    def sign_out(self) -> None:
        self._post("/sign-out", {})

    def token(self) -> str:
        response = self._browser.get("/token")
        assert response.status_code == 200, response.text
        return response.json()["token"]

    def _post(self, path: str, body: dict[str, str]) -> Any:
        response = self._browser.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()


SignUp = Callable[..., RegisteredUser]


@pytest.fixture
def sign_up(url: str) -> Iterator[SignUp]:
    """Somebody new, at this server or at another address of it."""
    with ExitStack() as browsers:

        def sign_up(at: str = url) -> RegisteredUser:
            browser = httpx.Client(base_url=f"{at}/api/auth", headers={"origin": url})
            return RegisteredUser(browsers.enter_context(browser))

        yield sign_up


def call(door: Client, method: str, path: str, token: str, **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return door.request(method, f"{API}{path}", headers=headers, **options)


def test_somebody_signs_up_asks_lists_signs_out_and_in_again(
    door: Client, url: str, sign_up: SignUp
) -> None:
    ada, eve = sign_up(), sign_up()
    token = ada.token()
    conversation = call(door, "POST", "/conversations", token).json()["id"]
    path = f"/conversations/{conversation}"
    answer = call(door, "POST", f"{path}/messages", token, json={"text": FUEL})
    assert (answer.status_code, answer.json()["status"]) == (201, "answered")
    assert call(door, "GET", "/conversations", eve.token()).json()["conversations"] == []
    assert_problem(call(door, "GET", path, eve.token()), 404)

    ada.sign_out()
    assert call(door, "GET", path, token).status_code == 200, "until the token ends"
    assert_problem(call(door, "DELETE", path, token), 401, "session")
    ada.sign_in()
    listed = call(door, "GET", "/conversations", ada.token()).json()["conversations"]
    assert [each["id"] for each in listed] == [conversation]
    assert call(door, "DELETE", path, ada.token()).status_code == 204


def test_keys_rotate_and_tokens_of_both_are_good(door: Client, url: str, sign_up: SignUp) -> None:
    person = sign_up()
    first = person.token()
    assert call(door, "GET", "/corpora", first).status_code == 200
    time.sleep(ROTATION + 6)
    second = person.token()
    kids = {jwt.get_unverified_header(token)["kid"] for token in (first, second)}
    assert len(kids) == 2
    for token in (second, first):
        assert call(door, "GET", "/corpora", token).status_code == 200


def test_a_token_that_has_ended_is_refused(
    door: Client, installed: Path, database: str, url: str, sign_up: SignUp
) -> None:
    port = free_port()
    with run_better_auth(installed, database, url, port, "1s"):
        token = sign_up(f"http://127.0.0.1:{port}").token()
    assert call(door, "GET", "/corpora", token).status_code == 200, "seconds in the future"
    time.sleep(32)
    assert_problem(call(door, "GET", "/corpora", token), 401, "expired")


def test_what_better_auth_did_not_sign_for_ibid_is_refused(
    door: Client, url: str, sign_up: SignUp
) -> None:
    good = sign_up().token()
    kid = jwt.get_unverified_header(good)["kid"]
    claims = jwt.decode(good, options={"verify_signature": False})
    published = httpx.get(f"{url}/api/auth/jwks").json()["keys"]
    shown = next(key["x"] for key in published if key["kid"] == kid)
    mine = Ed25519PrivateKey.generate()

    def forged(kid: str, **changes: str) -> str:
        return jwt.encode(claims | changes, mine, algorithm="EdDSA", headers={"kid": kid})

    for wrong in (
        forged(kid),
        forged("mine"),
        forged(kid, aud="other"),
        good[:-6] + "AAAAAA",
        jwt.encode(claims, None, algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, shown, algorithm="HS256", headers={"kid": kid}),
    ):
        assert_problem(call(door, "GET", "/corpora", wrong), 401)


@pytest.mark.parametrize("change", [{"auth_audience": "other"}, {"auth_issuer": "slash"}])
def test_a_token_for_somebody_else_is_refused(
    change: dict[str, str], url: str, tmp_path: Path, sign_up: SignUp
) -> None:
    given = {
        "auth": "jwt",
        "auth_jwks_url": f"{url}/api/auth/jwks",
        "auth_issuer": url,
        "auth_audience": "ibid",
    }
    changed = {name: f"{url}/" if value == "slash" else value for name, value in change.items()}
    with TestClient(create_app(local(tmp_path, **given | changed))) as client:
        assert_problem(call(client, "GET", "/corpora", sign_up().token()), 401)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256"])
def test_a_token_is_taken_as_the_published_key_says(
    algorithm: str, installed: Path, postgres: Postgres, tmp_path: Path
) -> None:
    name = f"people_{algorithm.lower()}"
    database, port = postgres.create(name), free_port()
    postgres.sql(name, "create schema better_auth")
    url = f"http://127.0.0.1:{port}"
    given = {
        "auth": "jwt",
        "auth_jwks_url": f"{url}/api/auth/jwks",
        "auth_issuer": url,
        "auth_audience": "ibid",
    }
    with (
        run_better_auth(installed, database, url, port, "5m", algorithm),
        TestClient(create_app(local(tmp_path, **given))) as client,
        httpx.Client(base_url=f"{url}/api/auth", headers={"origin": url}) as browser,
    ):
        token = RegisteredUser(browser).token()
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert call(client, "GET", "/corpora", token).status_code == 200
