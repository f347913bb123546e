"""OpenRouter's models."""

from collections.abc import Sequence

from llama_index.core.llms import LLM

from app.llms.hosted.account import fetch_account, fetch_model_names
from app.llms.hosted.model_limits import ModelLimitsCache
from app.providers.context import ProviderContext
from app.providers.findings import Finding, Findings
from app.providers.llms import LLMProvider, limit_options
from app.settings import Settings
from app.settings.required import secret_value
from storage.errors import InvalidInput


class OpenRouter(LLMProvider):
    """OpenRouter's models. Each has the models after it as OpenRouter's own fallbacks."""

    def models(self, context: ProviderContext) -> Sequence[LLM]:
        """Build the models; raise `InvalidInput` if none is named here or in `LLM_FALLBACKS`."""
        from app.llms.hosted.model import HostedLLM  # noqa: PLC0415 - OpenAI's SDK takes a second

        settings, http = context.settings, context.http
        base, names = settings.openrouter_base_url, settings.models
        if not names and not settings.llm_fallbacks:
            raise InvalidInput("OPENROUTER_MODELS contains no model.")
        limits = ModelLimitsCache(base, http, settings.ibid_home / "models.json") if http else None
        return [
            HostedLLM.create(
                base,
                secret_value(settings.openrouter_api_key),
                name,
                names[number + 1 :],
                provider=settings.openrouter_provider,
                headers=_attribution_headers(settings),
                model_limits=limits,
                http=http,
                **limit_options(settings),
            )
            for number, name in enumerate(names)
        ]

    async def check(self, context: ProviderContext) -> Findings:
        """Ask for the account of the key and for the list of models."""
        settings, http = context.settings, context.http
        key = secret_value(settings.openrouter_api_key)
        if http is None or key is None:
            return
        base = settings.openrouter_base_url.rstrip("/")
        account = await fetch_account(http, base, key)
        yield _credits_finding(account.limit_remaining, is_free=account.is_free_tier)
        listed = await fetch_model_names(http, base, key)
        for name in settings.models:
            if name in listed:
                yield Finding(name="models", state="ok", told=f"{name} is there")
            else:
                mend = "Correct OPENROUTER_MODELS; the models are listed at openrouter.ai/models."
                yield Finding(name="models", state="wrong", told=f"there is no {name}", mend=mend)


def _attribution_headers(settings: Settings) -> dict[str, str]:
    """Return headers that tell OpenRouter the application's URL and title, if a URL is set."""
    url = settings.openrouter_app_url or settings.public_url
    if not url:
        return {}
    headers = {"HTTP-Referer": url}
    title = settings.openrouter_app_title
    return {**headers, "X-OpenRouter-Title": title} if title else headers


def _credits_finding(left: float | None, *, is_free: bool) -> Finding:
    if left is not None and left <= 0:
        mend = "Buy credits at openrouter.ai/credits, or raise the key's own limit."
        return Finding(name="models", state="wrong", told="the key has no credits left", mend=mend)
    told = "no limit of its own" if left is None else f"${left:.2f} left"
    free = ", free tier: few requests a day" if is_free else ""
    state = "note" if is_free else "ok"
    return Finding(name="models", state=state, told=f"the key is valid, {told}{free}")
