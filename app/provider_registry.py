"""The registry of providers: one row for each implementation of an embedding, reranker, LLM or verifier.

The settings, `ibid doctor` and the table in the handbook are derived from it. It imports no provider: a row
names its implementation, which is imported when it is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from storage.errors import InvalidInput

Kind = Literal["embedding", "reranker", "llm", "verifier"]
NAME_SETTINGS: dict[Kind, str] = {"embedding": "EMBEDDING", "llm": "LLM", "verifier": "VERIFIER"}
"""The setting that chooses a provider by its name, for each kind that has one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of the registry."""

    kind: Kind
    name: str
    implementation: str
    """`module:class` in `app.providers`; the class implements the protocol of the kind."""
    description: str
    """One line for the handbook."""
    settings: tuple[str, ...] = ()
    """The settings that the provider reads."""
    required: tuple[str, ...] = ()
    """The settings without which it cannot be used."""
    chosen_by: str = ""
    """The setting that chooses the provider by having a value; if empty, the kind's setting names it."""

    @property
    def choice(self) -> str:
        """The setting that chooses the provider, as a user writes it."""
        return self.chosen_by or f"{NAME_SETTINGS[self.kind]}={self.name}"

    def is_configured(self, settings: object) -> bool:
        """Return whether the settings that the provider cannot do without are set, if there are any."""
        needed = [*self.required, *([self.chosen_by] if self.chosen_by else [])]
        return bool(needed) and all(_value(settings, name) for name in needed)

    def check_required(self, settings: object, needs: str = "") -> None:
        """Raise `InvalidInput` if a required setting is missing; `needs` says what requires it."""
        for name in self.required:
            if not _value(settings, name):
                raise InvalidInput(f"{needs or self.choice} needs {name}, which is not set.")

    def load(self) -> Any:
        """Import the implementation and return an instance of it."""
        module, _, name = self.implementation.partition(":")
        return getattr(import_module(f"app.providers.{module}"), name)()


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        kind="embedding",
        name="local",
        implementation="local:LocalEmbeddings",
        description="Static word vectors that are installed with Ibid, trained on English.",
    ),
    Provider(
        kind="embedding",
        name="cohere",
        implementation="cohere:CohereEmbeddings",
        description="Cohere's embedding models, for more than a hundred languages.",
        settings=(
            "COHERE_API_KEY",
            "COHERE_BASE_URL",
            "COHERE_EMBED_MODEL",
            "COHERE_EMBED_DIMENSION",
            "COHERE_INPUTS_PER_MINUTE",
            "COHERE_CALLS_PER_MONTH",
        ),
        required=("COHERE_API_KEY",),
    ),
    Provider(
        kind="reranker",
        name="cohere",
        implementation="cohere:CohereRerankers",
        description="Cohere's rerankers.",
        settings=(
            "COHERE_API_KEY",
            "COHERE_BASE_URL",
            "COHERE_RERANK_MODEL",
            "COHERE_RERANKS_PER_MINUTE",
            "COHERE_CALLS_PER_MONTH",
        ),
        required=("COHERE_API_KEY",),
        chosen_by="COHERE_RERANK_MODEL",
    ),
    Provider(
        kind="llm",
        name="extractive",
        implementation="extractive:Extractive",
        description="Quotes the sentences that answer best, and writes nothing of its own.",
    ),
    Provider(
        kind="llm",
        name="openrouter",
        implementation="openrouter:OpenRouter",
        description="Models of many vendors, through OpenRouter.",
        settings=(
            "OPENROUTER_API_KEY",
            "OPENROUTER_BASE_URL",
            "OPENROUTER_MODELS",
            "OPENROUTER_PROVIDER",
            "OPENROUTER_APP_URL",
            "OPENROUTER_APP_TITLE",
        ),
        required=("OPENROUTER_API_KEY",),
    ),
    Provider(
        kind="llm",
        name="fallbacks",
        implementation="fallbacks:Fallbacks",
        description="Models on any servers with an OpenAI-compatible API, such as Ollama and vLLM.",
        settings=("LLM_FALLBACKS", "LLM_FALLBACK_API_KEY", "LLM_FALLBACK_API_KEYS"),
        chosen_by="LLM_FALLBACKS",
    ),
    Provider(
        kind="verifier",
        name="local",
        implementation="local:LocalVerification",
        description="Compares words, numbers and names.",
    ),
    Provider(
        kind="verifier",
        name="llm",
        implementation="llm_judge:LLMJudgement",
        description="Asks the language model that writes the answers.",
    ),
)


def providers(kind: Kind) -> list[Provider]:
    """Return the providers of a kind, in the order of the registry."""
    return [row for row in PROVIDERS if row.kind == kind]


def find_provider(kind: Kind, name: str) -> Provider | None:
    """Return the provider of a kind with this name, or None."""
    return next((row for row in providers(kind) if row.name == name), None)


def choices(kind: Kind) -> tuple[str, ...]:
    """Return the names that the setting of a kind accepts."""
    return tuple(row.name for row in providers(kind) if not row.chosen_by)


def describe_providers(rows: Sequence[Provider] = PROVIDERS) -> str:
    """Return the handbook's table of the providers, in Markdown."""
    head = ["| Kind | Chosen by | Needs | Description |", "|---|---|---|---|"]
    body = [
        f"| {row.kind} | `{row.choice}` | {', '.join(f'`{name}`' for name in row.required) or '–'} "
        f"| {row.description} |"
        for row in rows
    ]
    return "\n".join([*head, *body])


def _value(settings: object, name: str) -> object:
    return getattr(settings, name.lower())
