"""Models on other servers with an OpenAI-compatible API."""

from collections.abc import Sequence

from llama_index.core.llms import LLM

from app.llms.hosted.account import fetch_model_names
from app.providers.context import ProviderContext
from app.providers.findings import Finding, Findings
from app.providers.llms import LLMProvider, limit_options
from app.settings.model_servers import parse_fallback_models

_SETTING_NAMES = {"key_setting": "LLM_FALLBACK_API_KEYS", "models_setting": "LLM_FALLBACKS"}


class Fallbacks(LLMProvider):
    """The models in `LLM_FALLBACKS`. They get no attribution headers or provider options."""

    def models(self, context: ProviderContext) -> Sequence[LLM]:
        """Build the models; raise `InvalidInput` if an entry or a key has another form."""
        from app.llms.hosted.model import HostedLLM  # noqa: PLC0415 - OpenAI's SDK takes a second

        return [
            HostedLLM.create(
                url,
                key,
                name,
                http=context.http,
                settings=_SETTING_NAMES,
                **limit_options(context.settings),
            )
            for name, url, key in parse_fallback_models(context.settings)
        ]

    async def check(self, context: ProviderContext) -> Findings:
        """Ask each server for its list of models."""
        if context.http is None:
            return
        for name, url, key in parse_fallback_models(context.settings):
            listed = await fetch_model_names(context.http, url, key, "LLM_FALLBACK_API_KEYS")
            there = name in listed
            told = f"{name} is {'' if there else 'not '}at {url}"
            mend = "" if there else "Correct LLM_FALLBACKS, or load the model there."
            yield Finding(name="fallback", state="ok" if there else "wrong", told=told, mend=mend)
