"""A password in an address, well-formed or not, is shown nowhere."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.settings import Settings
from storage.service_urls import HIDDEN, without_secrets
from tests.app.cli.commands import run_ibid

SECRET = "pLanted9"
SHAPES = (
    "{scheme}://user:{secret}@127.0.0.1:9/x",
    "{scheme}://user:{secret}@127.0.0.1:port/x",
    "{scheme}://user:{secret}@[::1/x",
    "{scheme}://user:{secret}/1@127.0.0.1:9/x",
    "{scheme}://user:{secret}#1@127.0.0.1:9/x",
    "{scheme}://user:{secret}?1@127.0.0.1:9/x",
    "{scheme}://user:1/{secret}@127.0.0.1:9/x",
    "{scheme}://user:1?{secret}=1@127.0.0.1:9/x",
    "{scheme}://user:1@{secret}@127.0.0.1:9/x",
    "{scheme}://user:{secret} 1@127.0.0.1:9/x",
    "{scheme}://user:{secret}",
    "{scheme}://user:{secret}@",
    "{scheme}:user:{secret}@127.0.0.1:9",
    "user:{secret}@127.0.0.1:9",
    "//user:{secret}@127.0.0.1:9",
    "nonsense://user:{secret}@127.0.0.1:9/x",
    "{scheme}://127.0.0.1:9/x?password={secret}",
)
KEYS = {"OPENROUTER_API_KEY": "sk-any", "COHERE_API_KEY": "any", "DATABASE_PATIENCE": "0.1"}
WITH = {
    "AUTH_JWKS_URL": {"AUTH": "jwt", "AUTH_ISSUER": "x", "AUTH_AUDIENCE": "y"},
    "COHERE_BASE_URL": {"EMBEDDING": "cohere", **KEYS},
    "DATABASE_DIRECT_URL": {"DATABASE_URL": "postgresql://127.0.0.1:9/x", **KEYS},
    "DATABASE_URL": KEYS,
    "LLM_FALLBACKS": KEYS,
    "OPENROUTER_BASE_URL": KEYS,
}
SCHEMES = {
    "AUTH_JWKS_URL": "http",
    "BLOB_URL": "s3",
    "COHERE_BASE_URL": "http",
    "DATABASE_DIRECT_URL": "postgresql",
    "DATABASE_URL": "postgresql",
    "JOBS_DATABASE_URL": "postgresql",
    "LLM_FALLBACKS": "model@http",
    "OPENROUTER_APP_URL": "http",
    "OPENROUTER_BASE_URL": "http",
    "PUBLIC_URL": "http",
    "QDRANT_URL": "http",
    "RATE_LIMIT_STORE": "redis",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCHEMES)
def test_no_command_prints_a_password_that_stands_in_an_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unused_tcp_port: int,
    name: str,
) -> None:
    port = str(unused_tcp_port)
    monkeypatch.setattr("granian.Granian.serve", lambda *_, **__: None)
    caplog.set_level(logging.INFO)
    for shape in SHAPES:
        given_ = {name: shape.format(scheme=SCHEMES[name], secret=SECRET)}
        for command in (["doctor"], ["ask", "lamp"], ["serve", "--port", port]):
            result = run_ibid(tmp_path / "home", *command, **{**WITH.get(name, {}), **given_})
            assert isinstance(result.exception, SystemExit | None), (given_, result.exception)
            assert SECRET not in result.output + caplog.text, (given_, command)


def test_settings_show_no_password(tmp_path: Path) -> None:
    fields = [each for each in Settings.model_fields if f"{each}".upper() in SCHEMES]
    assert {each.upper() for each in fields} == SCHEMES.keys()
    for each in fields:
        for shape in SHAPES:
            told = shape.format(scheme=SCHEMES[each.upper()], secret=SECRET)
            try:
                shown = repr(Settings.model_validate({each: told}))
            except ValidationError as error:
                shown = str(error)
            assert SECRET not in shown, told


def test_every_setting_that_may_hold_an_address_is_tried() -> None:
    addresses = {each for each in Settings.model_fields if "url" in each or "store" in each}
    assert addresses <= {*map(str.lower, SCHEMES), "auth_sign_in_url"}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:6333", "http://127.0.0.1:6333"),
        ("postgresql+asyncpg://u:p@h.example:5/db?a=b#c", "postgresql+asyncpg://h.example:5/db"),
        ("https://user@[::1]:8/x", "https://[::1]:8/x"),
        ("sqlite+aiosqlite:////srv/ibid.db", "sqlite+aiosqlite:////srv/ibid.db"),
        ("https://h/x?to=a@b", HIDDEN),
        ("redis://u:p/w@h", HIDDEN),
        ("redis://u:1/w@h", HIDDEN),
        ("u:p@h", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


@given(
    st.text("ab:/?#@[]% \n%41é", max_size=8),
    st.text("ab:/?#@[]% \n%41é", max_size=8),
    st.sampled_from(["http://", "redis://", "postgresql+x://", "s3://", "//", ""]),
)
def test_no_part_of_a_password_is_shown(before: str, after: str, scheme: str) -> None:
    address = f"{scheme}user:{before}{SECRET}{after}@host.example:9/path"
    assert SECRET not in without_secrets(address)


@pytest.mark.parametrize("name", ["OPENROUTER_BASE_URL", "COHERE_BASE_URL"])
def test_an_address_beside_a_key_has_no_password_of_its_own(tmp_path: Path, name: str) -> None:
    result = run_ibid(tmp_path, "ask", "lamp", **{name: "https://user:pw@models.example/v1"})
    assert result.exit_code == 2
    assert f"{name} is not valid: remove the user and password" in result.output


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:///jobs?host=/var/run/postgresql",
        "postgresql://user:p%2Fw@[::1]:5432/jobs?sslmode=require",
        "postgresql+asyncpg://user@/jobs?host=/tmp",
    ],
)
def test_what_is_an_address_of_a_database_is_taken(address: str) -> None:
    assert Settings(jobs_database_url=address, database_url=address).database == address
