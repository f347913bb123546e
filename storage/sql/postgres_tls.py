"""TLS for connections to Postgres.

If encryption is required, the certificate is always verified: otherwise an attacker could read the data.
"""

import ssl
from pathlib import Path

import certifi

from storage.errors import InvalidInput
from storage.sql.postgres_url import PostgresURL


def asyncpg_ssl(url: PostgresURL, name: str) -> ssl.SSLContext | str | bool:
    """Return asyncpg's `ssl` argument; raises `InvalidInput` for unusable certificate files."""
    mode = sslmode(url)
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return mode
    parameters = url.parameters
    context = ssl.create_default_context(
        cafile=_check_pem_file(name, "sslrootcert", root_certificates(url))
    )
    context.check_hostname = mode == "verify-full"
    if certificate := parameters.get("sslcert"):
        _check_pem_file(name, "sslcert", certificate)
        key = _check_pem_file(name, "sslkey", parameters.get("sslkey", certificate))
        try:
            # Without a password argument OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, parameters.get("sslpassword", ""))
        except OSError as error:
            raise InvalidInput(
                f"{name} cannot be used: sslcert, sslkey and sslpassword do not match."
            ) from error
    return context


def sslmode(url: PostgresURL) -> str:
    """Return the mode to use for the requested one: `require` also verifies certificate and host name.

    Only `verify-ca` with a configured root certificate skips the host name; without one it is checked too.
    """
    mode = url.parameters.get("sslmode", "prefer")
    has_own_root = "sslrootcert" in url.parameters
    if mode == "require" or (mode == "verify-ca" and not has_own_root):
        return "verify-full"
    return mode


def root_certificates(url: PostgresURL) -> str:
    """Return the file of trusted certificates: the configured one, the system's, or certifi's."""
    configured = url.parameters.get("sslrootcert", "system")
    if configured != "system":
        return configured
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _check_pem_file(name: str, parameter: str, path: str) -> str:
    try:
        text = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
        raise InvalidInput(f"{name} cannot be used: {parameter}: {reason}.") from error
    if b"-----BEGIN" not in text:
        raise InvalidInput(f"{name} cannot be used: {parameter}: it contains no PEM data.")
    return path
