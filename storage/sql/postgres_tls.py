"""Encryption to Postgres. Whatever asks for it gets it verified: what a stranger reads is not secret."""

import ssl
from pathlib import Path

import certifi

from storage.errors import InvalidInput
from storage.sql.postgres_url import PostgresURL


def for_asyncpg(url: PostgresURL, name: str) -> ssl.SSLContext | str | bool:
    """Raises `InvalidInput` for files that cannot be used."""
    mode = sslmode(url)
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return mode
    said = url.parameters
    context = ssl.create_default_context(cafile=_usable(name, "sslrootcert", roots(url)))
    context.check_hostname = mode == "verify-full"
    if certificate := said.get("sslcert"):
        _usable(name, "sslcert", certificate)
        key = _usable(name, "sslkey", said.get("sslkey", certificate))
        try:
            # Without a password given it would be asked for on the terminal.
            context.load_cert_chain(certificate, key, said.get("sslpassword", ""))
        except OSError as error:
            raise InvalidInput(
                f"{name} cannot be used: sslcert, sslkey and sslpassword do not belong together."
            ) from error
    return context


def sslmode(url: PostgresURL) -> str:
    """What is done for what is asked: names are left unchecked only for a root that is one's own."""
    mode = url.parameters.get("sslmode", "prefer")
    has_own_root = "sslrootcert" in url.parameters
    if mode == "require" or (mode == "verify-ca" and not has_own_root):
        return "verify-full"
    return mode


def roots(url: PostgresURL) -> str:
    """The file of certificates that are trusted: one's own, the system's, or certifi's."""
    own = url.parameters.get("sslrootcert", "system")
    if own != "system":
        return own
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _usable(name: str, parameter: str, path: str) -> str:
    try:
        text = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise InvalidInput(f"{name} cannot be used: {parameter}: {reason}.") from error
    if b"-----BEGIN" not in text:
        raise InvalidInput(f"{name} cannot be used: {parameter}: it holds nothing in PEM.")
    return path
