"""Checks of everything that is configured: whether it works, and how to fix it.

The checks are independent: if one fails, the others still run. Keys are sent to their services and never
shown.
"""

import os
from collections.abc import Callable
from contextlib import aclosing
from datetime import date
from tempfile import gettempdir
from uuid import uuid4

from app.provider_registry import NAME_SETTINGS, Kind, providers
from app.providers.context import ProviderContext, open_http
from app.providers.embeddings import build_embeddings, configured_fingerprint
from app.providers.findings import Finding, Findings
from app.providers.llms import chosen_llms, load_extractive, load_llm
from app.providers.rerankers import build_reranker
from app.rate_limiting.limiter import build_rate_limiter
from app.settings import Settings
from app.settings.misspelt import find_misspelt, find_unknown_names
from app.settings.required import require, secret_value
from app.users.claim_policy import build_claim_policy
from app.users.issuer_keys import fetch_keys
from app.wiring import open_database, open_engine, prepare_home
from storage.domain import Passage
from storage.errors import IbidError, IndexMismatch, InvalidInput
from storage.index.releases import ALIAS
from storage.private import is_open_to_others
from storage.sql.database import HEAD
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.usage import Ledger
from storage.system_folders import has_temporary_folder

_REINGEST_ADVICE = "Run `ibid reindex`: the indexes of fields are created with a collection."


async def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks, in the order in which a question uses the parts. An `IbidError` becomes a finding."""
    findings: list[Finding] = []
    async with open_http(settings) as http:
        context = ProviderContext(settings, http)
        checks: list[tuple[str, Callable[[], Findings], str]] = [
            ("settings", _check_settings, "Look at .env."),
            ("home", lambda: _check_home(settings), "Look at IBID_HOME."),
            ("database", lambda: _check_database(settings), "Look at DATABASE_URL and IBID_HOME."),
            (
                "index",
                lambda: _check_index(settings),
                "Look at QDRANT_URL, QDRANT_API_KEY and IBID_HOME.",
            ),
            ("embedding", lambda: _check_embedding(context), _settings_advice("embedding")),
            ("reranker", lambda: _check_reranker(context), _settings_advice("reranker")),
            ("models", lambda: _check_models(context), _settings_advice("llm")),
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


async def _check_embedding(context: ProviderContext) -> Findings:
    made = configured_fingerprint(context.settings)
    embedding, dimension = build_embeddings(context)(made), made.dimension
    vector = await embedding.aget_query_embedding("lighthouse")
    message = f"{embedding.model_name} returns {len(vector)} dimensions"
    if len(vector) != dimension:
        raise IndexMismatch(f"{message}, not the {dimension} that are set.")
    yield Finding(name="embedding", state="ok", told=message)


async def _check_reranker(context: ProviderContext) -> Findings:
    reranker = build_reranker(context)
    if reranker is None:
        yield Finding(name="reranker", state="ok", told="none is set")
        return
    await reranker.rerank(
        "lamp", [_example_passage("The lamp burns."), _example_passage("Ships pass by.")]
    )
    yield Finding(name="reranker", state="ok", told=f"{reranker.model} works")


async def _check_models(context: ProviderContext) -> Findings:
    rows = chosen_llms(context.settings)
    for provider in [load_llm(row) for row in rows] or [load_extractive()]:
        async with aclosing(provider.check(context)) as findings:
            async for finding in findings:
                yield finding


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
    async with aclosing(build_rate_limiter(settings)) as limiter:
        together = await limiter.is_shared()
    if not together:
        raise InvalidInput(
            f"the store at {limiter.place} fails, so each process counts requests separately"
        )
    yield Finding(name="limits", state="ok", told="all processes share their counts")


def _settings_advice(kind: Kind) -> str:
    """Name the settings of the providers of a kind."""
    names = [NAME_SETTINGS[kind]] if kind in NAME_SETTINGS else []
    names += [name for row in providers(kind) for name in row.settings]
    return f"Look at {', '.join(dict.fromkeys(names))}."


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
