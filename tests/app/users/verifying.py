"""A verifier of tokens, as it is built for an issuer."""

from typing import Any

from app.settings import Settings
from app.users.claims import ClaimPolicy
from app.users.issuer_keys import IssuerKeys
from app.users.issuer_tokens import TokenVerifier
from tests.doubles.issuer import AUDIENCE, Issuer

ALGORITHMS = Settings.model_construct().algorithms


def verifier_for(
    issuer: Issuer, *, url: str = "", apart: float = 0, **policy: Any
) -> TokenVerifier:
    keys = IssuerKeys(url or issuer.jwks_url, ALGORITHMS, min_interval=apart)
    return TokenVerifier(keys, ClaimPolicy(issuer=issuer.url, **{"audience": AUDIENCE} | policy))
