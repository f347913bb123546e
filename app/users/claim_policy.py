"""Builds the requirements for tokens from the settings."""

from app.settings import Settings
from app.settings.types import split_list
from app.users.claims import ClaimPolicy
from storage.errors import InvalidInput


def build_claim_policy(settings: Settings, issuer: str) -> ClaimPolicy:
    """Build the policy; raise `InvalidInput` if a setting needs another one that is missing."""
    parties = split_list(settings.auth_authorized_parties)
    if not settings.auth_audience and not parties:
        raise InvalidInput(
            "AUTH=jwt needs AUTH_AUDIENCE or, for tokens without `aud`, AUTH_AUTHORIZED_PARTIES; "
            "neither is set."
        )
    admins, editors = split_list(settings.auth_admin_roles), split_list(settings.auth_editor_roles)
    if settings.auth_roles_claim and not (admins or editors):
        raise InvalidInput(
            "AUTH_ROLES_CLAIM needs AUTH_ADMIN_ROLES or AUTH_EDITOR_ROLES; neither is set."
        )
    if (admins or editors) and not settings.auth_roles_claim:
        name = "AUTH_ADMIN_ROLES" if admins else "AUTH_EDITOR_ROLES"
        raise InvalidInput(f"{name} needs AUTH_ROLES_CLAIM, which is not set.")
    return ClaimPolicy(
        issuer=issuer,
        audience=settings.auth_audience or None,
        authorized_parties=frozenset(parties),
        groups_claim=settings.auth_groups_claim,
        roles_claim=settings.auth_roles_claim or None,
        admin_roles=frozenset(admins),
        editor_roles=frozenset(editors),
    )
