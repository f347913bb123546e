"""Checks of everything that is configured: whether it works, and how to fix it.

The checks are independent: if one fails, the others still run. Keys are sent to their services and never
shown.
"""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import date
from tempfile import gettempdir
from typing import Literal
from uuid import uuid4

from aiohttp import ClientSession

from app.llms.hosted.account import fetch_account, fetch_model_names
from app.providers import (
    build_embeddings,
    build_reranker,
    configured_fingerprint,
    open_http,
    require,
    secret_value,
)
from app.settings import Settings
from app.settings.misspelt import find_misspelt, find_unknown_names
from app.settings.model_servers import parse_fallback_models
from app.users.issuer_keys import fetch_keys
from app.users.policy import build_claim_policy
from app.wiring import open_database, open_engine, prepare_home
from storage.domain import Passage, Value
from storage.errors import IbidError, IndexMismatch, InvalidInput
from storage.index.releases import ALIAS
from storage.private import is_open_to_others
from storage.sql.database import HEAD
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.usage import Ledger
from storage.system_folders import has_temporary_folder

_REINGEST_ADVICE = "Run `ibid reindex`: the indexes of fields are created with a collection."
Findings = AsyncGenerator["Finding", None]


class Finding(Value):
    """The result of a check. `mend` says how to fix a problem; it is empty if there is nothing to do."""

    name: str
    state: Literal["ok", "note", "wrong"]
    told: str
    mend: str = ""


async def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks, in the order in which a question uses the parts. An `IbidError` becomes a finding."""
    findings: list[Finding] = []
    async with open_http(settings) as http:
        checks: list[tuple[str, Callable[[], Findings], str]] = [
            ("settings", _check_settings, "Look at .env."),
            ("home", lambda: _check_home(settings), "Look at IBID_HOME."),
            ("database", lambda: _check_database(settings), "Look at DATABASE_URL and IBID_HOME."),
            (
                "index",
                lambda: _check_index(settings),
                "Look at QDRANT_URL, QDRANT_API_KEY and IBID_HOME.",
            ),
            (
                "embedding",
                lambda: _check_embedding(settings, http),
                "Look at EMBEDDING and COHERE_…",
            ),
            ("reranker", lambda: _check_reranker(settings, http), "Look at COHERE_RERANK_MODEL."),
            (
                "models",
                lambda: _check_models(settings, http),
                "Look at LLM, OPENROUTER_… and LLM_FALLBACKS.",
            ),
            ("sign-in", lambda: _check_sign_in(settings), "Look at AUTH_…"),
            ("limits", lambda: _check_rate_limits(settings), "Look at RATE_LIMIT_STORE."),
        ]
        for name, check, mend in checks:
            try:
                findings += [finding async for finding in check()]
            except IbidError as error:
                findings.append(Finding(name=name, state="wrong", told=str(error), mend=mend))
    return findings


async def _check_settings() -> Findings:
    wrong = find_misspelt()
    for variable in wrong:
        yield Finding(name="settings", state="note", told=str(variable), mend="Correct its name.")
    if others := find_unknown_names():
        message = f"not settings, and ignored, in .env: {', '.join(others)}"
        yield Finding(name="settings", state="note" if wrong else "ok", told=message)
    elif not wrong:
        yield Finding(name="settings", state="ok", told="all names are known")


async def _check_home(settings: Settings) -> Findings:
    home = settings.ibid_home.absolute()
    prepare_home(settings)
    if not os.access(home, os.W_OK):
        mend = "Set IBID_HOME to a folder that this user can write to."
        yield Finding(name="home", state="wrong", told=f"{home} cannot be written to", mend=mend)
    elif is_open_to_others(home):
        message = f"other users of this machine can read {home}, and this user cannot change that"
        mend = "Have its owner run Ibid, or run `chmod -R go= IBID_HOME` as its owner."
        yield Finding(name="home", state="note", told=message, mend=mend)
    else:
        yield Finding(name="home", state="ok", told=f"{home} is readable only by this user")
    yield _check_temporary_files()


def _check_temporary_files() -> Finding:
    name = "temporary files"
    if has_temporary_folder():
        return Finding(name=name, state="ok", told=f"they are written to {gettempdir()}")
    return Finding(
        name=name,
        state="wrong",
        told="there is no folder for them",
        mend="Set TMPDIR.",
    )


async def _check_database(settings: Settings) -> Findings:
    async with open_database(settings) as database, database.read_transaction() as session:
        await Ledger(session).total_cost(date.min)
    kind = settings.database.partition(":")[0]
    yield Finding(name="database", state="ok", told=f"{kind}, migrated to {HEAD}")


async def _check_index(settings: Settings) -> Findings:
    async with open_engine(settings) as engine, open_database(settings) as database:
        collection = (await engine.aliases()).get(ALIAS)
        if collection is None:
            mend = "Run `ibid ingest PATH`."
            yield Finding(name="index", state="note", told="nothing was ingested yet", mend=mend)
            return
        points = await engine.count(ALIAS, {})
        async with database.read_transaction() as session:
            release = await Releases(session).find(collection)
    message = f"{collection} is active, with {points:,} passages"
    yield Finding(name="index", state="ok", told=message)
    if settings.qdrant_url:
        from storage.index.server.engine import check_strict_mode  # noqa: PLC0415 - qdrant_client takes 0.8 s

        key = secret_value(settings.qdrant_api_key)
        for missing in await check_strict_mode(settings.qdrant_url, key, collection):
            yield Finding(name="index", state="wrong", told=missing, mend=_REINGEST_ADVICE)
    if release is None:
        message = f"the index {collection} belongs to another database"
        yield Finding(
            name="index", state="wrong", told=message, mend="Run `ibid ingest PATH` again."
        )
    elif changed := release.fingerprint.differences(configured_fingerprint(settings)):
        message = f"the configuration differs from the active release: {', '.join(changed)}"
        yield Finding(name="index", state="note", told=message, mend="Run `ibid reindex`.")


async def _check_embedding(settings: Settings, http: ClientSession | None) -> Findings:
    fingerprint = configured_fingerprint(settings)
    embedding, dimension = build_embeddings(settings, http)(fingerprint), fingerprint.dimension
    vector = await embedding.aget_query_embedding("lighthouse")
    message = f"{embedding.model_name} returns {len(vector)} dimensions"
    if len(vector) != dimension:
        raise IndexMismatch(f"{message}, not the {dimension} that are set.")
    yield Finding(name="embedding", state="ok", told=message)


async def _check_reranker(settings: Settings, http: ClientSession | None) -> Findings:
    reranker = build_reranker(settings, http)
    if reranker is None:
        yield Finding(name="reranker", state="ok", told="none is set")
        return
    await reranker.rerank(
        "lamp", [_example_passage("The lamp burns."), _example_passage("Ships pass by.")]
    )
    yield Finding(name="reranker", state="ok", told=f"{reranker.model} works")


async def _check_models(settings: Settings, http: ClientSession | None) -> Findings:
    served = parse_fallback_models(settings)
    if settings.llm == "openrouter" and not settings.openrouter_api_key:
        raise InvalidInput("LLM=openrouter needs OPENROUTER_API_KEY, which is not set.")
    if settings.llm == "extractive" or http is None or not (settings.openrouter_api_key or served):
        yield Finding(name="models", state="ok", told="extractive, which needs no service")
        return
    if settings.openrouter_api_key:
        key = settings.openrouter_api_key.get_secret_value()
        async for finding in _check_openrouter(settings, key, http):
            yield finding
    for name, url, api_key in served:
        is_listed = name in await fetch_model_names(http, url, api_key, "LLM_FALLBACK_API_KEYS")
        message = f"{name} is {'' if is_listed else 'not '}at {url}"
        mend = "" if is_listed else "Correct LLM_FALLBACKS, or load the model there."
        yield Finding(
            name="fallback", state="ok" if is_listed else "wrong", told=message, mend=mend
        )


async def _check_openrouter(settings: Settings, key: str, http: ClientSession) -> Findings:
    base = settings.openrouter_base_url.rstrip("/")
    mine = await fetch_account(http, base, key)
    yield _credits_finding(mine.limit_remaining, is_free=mine.is_free_tier)
    listed = await fetch_model_names(http, base, key)
    for name in settings.models:
        if name in listed:
            yield Finding(name="models", state="ok", told=f"{name} is available")
        else:
            mend = "Correct OPENROUTER_MODELS; the models are listed at openrouter.ai/models."
            yield Finding(name="models", state="wrong", told=f"there is no {name}", mend=mend)


async def _check_sign_in(settings: Settings) -> Findings:
    if settings.auth == "off":
        yield Finding(
            name="sign-in", state="ok", told="off: everyone who can reach the server has access"
        )
        return
    build_claim_policy(settings, require(settings.auth_issuer, "AUTH=jwt", "AUTH_ISSUER"))
    url = require(settings.auth_jwks_url, "AUTH=jwt", "AUTH_JWKS_URL")
    keys = await fetch_keys(url, settings.algorithms)
    names = sorted({name for key in keys for name in key.algorithms})
    message = f"usable keys of the issuer: {len(keys)}, for {', '.join(names)}"
    yield Finding(name="sign-in", state="ok", told=message)


async def _check_rate_limits(settings: Settings) -> Findings:
    if not settings.rate_limit_store:
        yield Finding(name="limits", state="ok", told="no shared store is set")
        return
    from app.rate_limiting.limiter import build_rate_limiter  # noqa: PLC0415 - Litestar takes a moment

    async with aclosing(build_rate_limiter(settings)) as limiter:
        together = await limiter.is_shared()
    if not together:
        raise InvalidInput(
            f"the store at {limiter.place} fails, so each process counts requests separately"
        )
    yield Finding(name="limits", state="ok", told="all processes share their counts")


def _credits_finding(left: float | None, *, is_free: bool) -> Finding:
    if left is not None and left <= 0:
        mend = "Buy credits at openrouter.ai/credits, or raise the key's own limit."
        return Finding(name="models", state="wrong", told="the key has no credits left", mend=mend)
    remaining = "no limit of its own" if left is None else f"${left:.2f} left"
    free = ", free tier: few requests a day" if is_free else ""
    state = "note" if is_free else "ok"
    return Finding(name="models", state=state, told=f"the key is valid, {remaining}{free}")


def _example_passage(text: str) -> Passage:
    return Passage(
        id=uuid4(),
        source_id=uuid4(),
        corpus="default",
        version=1,
        ordinal=0,
        title="Example",
        section=("Example",),
        url="https://docs.example.com",
        text=text,
        start=0,
        end=len(text),
    )
