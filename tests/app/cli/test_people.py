"""`ibid keys`, `users`, `corpora access` and `db`: the desk of whoever runs the server."""

import json
import sqlite3
from pathlib import Path

import pytest

from storage.sql.database import HEAD
from tests.app.cli.commands import assert_refused, run_ibid
from tests.doubles.issuer import Issuer


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A home in which nobody was yet."""
    return tmp_path / "home"


def test_a_key_is_shown_once_listed_and_revoked(desk: Path) -> None:
    assert "no keys yet" in run_ibid(desk, "keys", "list").stdout
    made = run_ibid(
        desk, "keys", "create", "site", "--scope", "ask", "--scope", "ingest", "--days", "9"
    )
    key = made.stdout.strip()
    assert key.startswith("ibid_")
    assert "not shown again" in made.stderr
    (row,) = json.loads(run_ibid(desk, "keys", "list", "--json").stdout)["keys"]
    assert (row["user"], row["rights"], row["used_at"]) == ("key:site", ["ask", "ingest"], None)
    assert key.startswith(row["prefix"])
    assert key not in run_ibid(desk, "keys", "list").stdout
    assert run_ibid(desk, "keys", "revoke", row["prefix"]).stdout == "Revoked.\n"
    assert "expired or revoked" in run_ibid(desk, "keys", "list").stdout
    assert_refused(run_ibid(desk, "keys", "revoke", "ibid_nothing"), "no key")


def test_a_user_is_given_a_role_and_deleted(desk: Path) -> None:
    assert run_ibid(desk, "users", "role", "ada", "editor").exit_code == 0
    (row,) = json.loads(run_ibid(desk, "users", "list", "--json").stdout)["users"]
    assert (row["name"], row["role"]) == ("ada", "editor")
    assert "ada  editor" in run_ibid(desk, "users", "list").stdout
    assert run_ibid(desk, "users", "delete", "ada", "--yes").exit_code == 0
    assert_refused(run_ibid(desk, "users", "delete", "ada", "--yes"), "no user 'ada'")
    assert_refused(
        run_ibid(desk, "users", "role", "local", "reader"), "A role cannot set the rights"
    )


def test_a_corpus_is_opened_to_some_and_to_all(desk: Path) -> None:
    run_ibid(desk, "corpora", "create", "boats")
    told = run_ibid(desk, "corpora", "access", "boats", "--user", "ada", "--group", "staff").stdout
    assert told == "boats can be read by group:staff, user:ada.\n"
    assert "admins only" in run_ibid(desk, "corpora", "access", "boats").stdout
    assert "everyone" in run_ibid(desk, "corpora", "access", "boats", "--public").stdout
    assert run_ibid(desk, "corpora", "access", "boats", "--public", "--user", "x").exit_code == 2
    assert_refused(run_ibid(desk, "corpora", "access", "ships", "--public"), "no corpus 'ships'")
    assert "prefers" in run_ibid(desk, "corpora", "peer-review", "boats", "0.1").stdout
    assert "no preference" in run_ibid(desk, "corpora", "peer-review", "boats", "0").stdout
    assert_refused(run_ibid(desk, "corpora", "peer-review", "boats", "7"), "between 0 and 1")


def test_the_schema_is_told_and_upgraded(desk: Path) -> None:
    assert run_ibid(desk, "db", "current").stdout == "empty\n"
    assert_refused(run_ibid(desk, "db", "check"), "ibid db upgrade")
    assert run_ibid(desk, "db", "upgrade").stdout == f"The schema is at {HEAD}.\n"
    assert run_ibid(desk, "db", "check").stdout == "The schema is up to date.\n"
    with sqlite3.connect(desk / "ibid.db") as database:
        database.execute("drop table feedback")
    database.close()
    assert_refused(run_ibid(desk, "db", "check"), "feedback")
    assert not (desk / "index").exists()


def test_sign_in_lets_other_machines_in(desk: Path) -> None:
    assert_refused(run_ibid(desk, "serve", "--host", "0.0.0.0"), "AUTH=jwt")  # noqa: S104
    half = run_ibid(desk, "serve", "--host", "0.0.0.0", "--port", "1", AUTH="jwt")  # noqa: S104
    assert_refused(half, "AUTH_JWKS_URL")
    assert_refused(run_ibid(desk, "serve", AUTH="maybe"), "AUTH is not valid")


def test_sign_in_without_an_audience_names_who_may_ask_for_tokens(
    desk: Path, issuer: Issuer
) -> None:
    settings = {name.upper(): value for name, value in issuer.settings().items()}
    del settings["AUTH_AUDIENCE"]
    assert_refused(run_ibid(desk, "serve", **settings), "AUTH_AUTHORIZED_PARTIES; neither is set")


def test_the_doctor_fetches_the_keys_of_the_issuer(desk: Path, issuer: Issuer) -> None:
    settings = {name.upper(): value for name, value in issuer.settings().items()}
    assert "usable keys of the issuer: 1, for EdDSA" in run_ibid(desk, "doctor", **settings).stdout
    issuer.reply = (302, {"location": "/elsewhere"}, b"")
    ill = run_ibid(desk, "doctor", **settings)
    issuer.reply = None
    assert ill.exit_code == 1
    assert f"from {issuer.jwks_url}: it redirects to {issuer.url}/elsewhere" in ill.stdout
    half = run_ibid(desk, "doctor", **settings | {"AUTH_AUDIENCE": ""})
    assert "AUTH_AUTHORIZED_PARTIES; neither is set" in half.stdout
    assert "off: everyone who can reach the server has access" in run_ibid(desk, "doctor").stdout
