"""A verifier of tokens, as it is built for an issuer."""

from typing import Any

from app.people.claims import ClaimPolicy
from app.people.issuer_keys import IssuerKeys
from app.people.tokens import TokenVerifier
from app.settings import Settings
from tests.doubles.issuer import AUDIENCE, Issuer

ALGORITHMS = Settings.model_construct().algorithms


def verifier_for(
    issuer: Issuer, *, url: str = "", apart: float = 0, **policy: Any
) -> TokenVerifier:
    keys = IssuerKeys(url or issuer.jwks_url, ALGORITHMS, apart=apart)
    return TokenVerifier(keys, ClaimPolicy(issuer=issuer.url, **{"audience": AUDIENCE} | policy))
