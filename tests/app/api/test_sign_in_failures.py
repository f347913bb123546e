"""Tests of failed sign-ins, and of their effect on other clients with the same address."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.api.health import DatabaseProbe
from app.api.sign_in_failures import SignInFailures
from app.rate_limiting.limiter import RateLimiter
from app.wiring import Services
from storage.errors import DatabaseUnavailable, TooManyFailures
from tests.app.api.calls import API, Client, assert_problem
from tests.app.api.conftest import local
from tests.doubles.issuer import Issuer

MOST = 3
SITE = "https://docs.example.com"


@pytest.fixture
def door(issuer: Issuer, tmp_path: Path) -> Iterator[Client]:
    own = {"sign_in_failures": MOST, "cors_origins": SITE}
    settings = local(tmp_path, **issuer.settings(), **own)
    with TestClient(create_app(settings)) as client:
        yield client


def key(door: Client) -> str:
    services: Services = door.app.state.services
    return door.blocking_portal.call(services.people.create_key, uuid4().hex, ["ask"], None)


def request_status(door: Client, credential: str, path: str = f"{API}/corpora") -> int:
    return door.get(path, headers={"authorization": f"Bearer {credential}"}).status_code


@pytest.fixture
async def limiter() -> AsyncIterator[RateLimiter]:
    async with aclosing(RateLimiter()) as limiter:
        yield limiter


@pytest.mark.parametrize("bad", ["ibid_unknown", "no.token.this"])
def test_bad_credentials_are_refused_and_then_not_looked_at(
    door: Client, issuer: Issuer, bad: str
) -> None:
    known, new = key(door), key(door)
    assert request_status(door, known) == 200
    assert [request_status(door, bad) for _ in range(MOST + 2)] == [401] * MOST + [429] * 2
    refused = door.get(f"{API}/corpora", headers={"authorization": f"Bearer {bad}"})
    assert_problem(refused, 429, "Your address")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert request_status(door, known) == 200, "who was let in before goes on"
    assert request_status(door, issuer.token("ada")) == 200, (
        "a token needs no database to be told good"
    )
    assert request_status(door, new) == 429, "a key that is new here waits for a minute"
    assert door.get(f"{API}/corpora").status_code == 401, "nothing was sent that could be guessed"


def test_a_page_of_a_listed_site_may_read_why_it_was_refused(door: Client) -> None:
    headers = {"authorization": "Bearer ibid_unknown", "origin": SITE}
    told = [door.get(f"{API}/corpora", headers=headers) for _ in range(MOST + 1)]
    told.append(door.get(f"{API}/nowhere", headers=headers))
    assert [each.status_code for each in told] == [401] * MOST + [429, 404]
    for each in told:
        assert each.headers["access-control-allow-origin"] == SITE
        assert "Retry-After" in each.headers["access-control-expose-headers"]


async def test_each_address_has_failures_of_its_own(limiter: RateLimiter) -> None:
    failures = SignInFailures(1, limiter)
    await failures.count("203.0.113.1", "ibid_bad")
    with pytest.raises(TooManyFailures):
        await failures.check("203.0.113.1", "ibid_other")
    await failures.check("203.0.113.2", "ibid_other")
    await failures.count("2001:db8::1", "ibid_bad")
    with pytest.raises(TooManyFailures):
        await failures.check("2001:db8::2", "ibid_other")  # the same /64 network
    await failures.check("2001:db8:0:1::1", "ibid_other")


async def test_a_key_that_was_good_and_is_no_more_counts_again(limiter: RateLimiter) -> None:
    failures = SignInFailures(1, limiter)
    failures.remember("ibid_revoked")
    await failures.count("203.0.113.1", "ibid_revoked")
    with pytest.raises(TooManyFailures):
        await failures.check("203.0.113.1", "ibid_revoked")


def test_only_who_signed_in_has_the_database_asked(door: Client, issuer: Issuer) -> None:
    path = "/health/ready?database=true"
    assert_problem(door.get(path), 401, "Sign in")
    assert door.get("/health/ready").status_code == 200
    assert request_status(door, issuer.token("ada"), path) == 200
    assert request_status(door, key(door), path) == 200


async def test_the_database_is_asked_once_for_many() -> None:
    asks: list[int] = []
    failing = True

    async def ask() -> None:
        asks.append(1)
        await asyncio.sleep(0)
        if failing:
            raise DatabaseUnavailable("away")

    probe = DatabaseProbe()
    told = await asyncio.gather(*(probe.check(ask) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in told] == [DatabaseUnavailable] * 5
    assert len(asks) == 1
    failing = False
    for _ in range(5):
        await probe.check(ask)
    assert len(asks) == 2, "that it was away is asked anew, that it is there is known for a while"
